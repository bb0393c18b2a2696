"""What every test may rely on: no telemetry, no idle threads that spin, a Ctrl-C that works.

At the end the faults that were tested are listed, if any were.
"""

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the faults (`make faults`), in the order of the tests."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    tested = [report for report in reports if isinstance(report, pytest.TestReport)]
    failed = {report.nodeid for report in tested if report.failed}
    rows = {
        report.nodeid: [value, "FAILED" if report.nodeid in failed else "ok"]
        for report in tested
        for name, value in report.user_properties
        if name == "fault"
    }
    if rows:
        terminalreporter.write_sep("=", "faults")
        for (fault, prefect, said, lost, rerun), outcome in (rows[n] for n in sorted(rows)):
            terminalreporter.write_line(f"{fault}: {outcome}")
            for what, text in (
                ("state", prefect),
                ("said", said),
                ("lost", lost),
                ("run again", rerun),
            ):
                terminalreporter.write_line(f"    {what:<10} {text}")
