"""Lightning, without its advice and without its way of ending the program."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.exceptions import SIGTERMException

_UNWANTED = (
    # Parts that a stage does not train are in evaluation mode on purpose.
    (r"Found \d+ module\(s\) in eval mode at the start of training.*", UserWarning),
    # The slices are in memory: worker processes would only copy them.
    (r".*does not have many workers.*", UserWarning),
    # What is logged once an epoch is the same in each process already.
    (r"It is recommended to use `self\.log\(.*sync_dist=True\)`.*", UserWarning),
    # PyTorch leaves Fourier transforms to other code, as it should.
    (r".*code generation for complex operators.*", UserWarning),
    # Lightning 2.6 still calls PyTorch's old tree functions.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated.*", FutureWarning),
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says about devices, tips and loader workers, errors excepted."""
    # It logs under its other name where anything has imported that package, as MLflow may.
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "pytorch_lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message, category in _UNWANTED:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def stopping_reaches_the_caller() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C and exit with the usual code on SIGTERM.

    Lightning answers both by an ordinary exit, and ignores any further Ctrl-C for good.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException as terminated:
        raise SystemExit(128 + signal.SIGTERM) from terminated
    except SystemExit as exiting:
        if isinstance(exiting.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from exiting
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
