"""What every test may rely on: no telemetry, no idle threads that spin, a Ctrl-C that works."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

from spinforge.flows import environment

environment.prepare()

# A shell lets what it starts in the background ignore Ctrl-C; the tests of Ctrl-C must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit's test runner puts a page in place of `__main__`; new processes would run that."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return Path(__file__).parent.parent
