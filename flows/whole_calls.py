"""Ctrl-C never cuts a call to MLflow in half."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from lightning.pytorch.loggers import MLFlowLogger


class WholeCalls(MLFlowLogger):
    """Lets a Ctrl-C wait until MLflow's transaction is over, so that its file is not left locked.

    A second Ctrl-C does not wait, for a server that does not answer.
    """

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log one step, or nothing of it."""
        with ctrl_c_waits():
            super().log_metrics(metrics, step)


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Answer the first Ctrl-C after the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C never reaches other threads
        return
    handler = signal.getsignal(signal.SIGINT)
    waiting: list[tuple[int, FrameType | None]] = []

    def remember(number: int, frame: FrameType | None) -> None:
        waiting.append((number, frame))
        signal.signal(signal.SIGINT, handler)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if waiting and callable(handler):
        handler(*waiting[0])
