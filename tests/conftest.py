"""What every test may rely on: no telemetry, no idle threads that spin."""

import os
from pathlib import Path

import pytest

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

from spinforge.flows import environment

environment.prepare()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return Path(__file__).parent.parent
