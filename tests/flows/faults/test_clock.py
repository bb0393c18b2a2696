"""Clocks that jump: no content, and no decision, may hang on the time of day."""

import sys

import pytest

pytestmark = pytest.mark.faults

JUMPING = """
import sys, time, threading
real, jump = time.time, {jump}
start = time.monotonic()
time.time = lambda: real() + (jump if time.monotonic() - start > 8 else 0)
real_ns = time.time_ns
time.time_ns = lambda: real_ns() + int(1e9 * (jump if time.monotonic() - start > 8 else 0))
"""


@pytest.fixture(params=[-86400, 86400 * 400], ids=["back-a-day", "on-400-days"])
def clock(request, tmp_path):
    """A folder for PYTHONPATH in which the clock of every new process jumps."""
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING.format(jump=request.param))
    return folder


def test_clock_jumps(bench, clock):
    """The clock jumps by a day back, or 400 days on, in the middle of the run."""
    path = ":".join([str(clock), *filter(None, sys.path)])
    bench.environment["PYTHONPATH"] = path
    code, said = bench.end(bench.start())
    assert code == 0, said
    bench.row.said = "(nothing)"
    del bench.environment["PYTHONPATH"]
    bench.mend()
