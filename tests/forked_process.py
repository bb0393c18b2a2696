"""A child process that the tests kill: when to, and how it ended."""

import os
import time
from collections.abc import Callable


def wait(pid: int) -> int:
    """Exit code of a child once it has ended, minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for(condition: Callable[[], object], pid: int) -> None:
    """Wait until something is so, or the process ends."""
    while (
        not condition() and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        time.sleep(0.002)
