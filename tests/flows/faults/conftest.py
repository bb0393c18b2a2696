"""The bench of a fault, and the table of all of them at the end."""

from dataclasses import astuple

import pytest
from fault_bench import Bench, Row, hashes

from spinforge.flows.run_folder import RunFolder


@pytest.fixture(scope="session")
def undisturbed(finished):
    """Hashes of a run that nothing disturbed."""
    study, _ = finished
    return hashes(RunFolder.of(study).path)


@pytest.fixture
def bench(request, undisturbed, prefect_server, tiny_file, tmp_path):
    """The tiny study in a folder of its own; the test's docstring is its row of the table."""
    row = Row(request.function.__doc__.strip().rstrip("."))
    yield Bench(tiny_file, tmp_path, undisturbed, row, {"PREFECT_API_URL": prefect_server})
    request.node.user_properties.append(("fault", astuple(row)))
