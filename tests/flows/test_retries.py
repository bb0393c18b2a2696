"""Only what may pass by itself is tried again."""

import pytest
from prefect import flow, task

from spinforge.flows.retries import RETRIES
from spinforge.simulation.errors import SpinforgeError, TemporaryError

QUICK = RETRIES | {"retry_delay_seconds": 0, "retry_jitter_factor": None}


def attempts(error, fails=99):
    """How often a task runs that fails with `error` the first times, and how it ends."""
    seen = []

    def work():
        seen.append(1)
        if len(seen) <= fails:
            raise error

    @flow
    def one():
        return task(**QUICK)(work)(return_state=True)

    state = one(return_state=True)
    return len(seen), state.name


@pytest.mark.usefixtures("prefect_server")
def test_what_may_pass_is_tried_four_times():
    assert attempts(TemporaryError("the bucket does not answer")) == (4, "Failed")


@pytest.mark.usefixtures("prefect_server")
def test_what_passes_is_done():
    assert attempts(TemporaryError("the bucket does not answer"), fails=2) == (3, "Completed")


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("error", [SpinforgeError("the disk is full"), ValueError("a bug")])
def test_what_stays_is_not_tried_again(error):
    assert attempts(error) == (1, "Failed")
