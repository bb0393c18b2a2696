"""PyTorch's exporters, without what they say to their own authors."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_UNWANTED = (
    # PyTorch 2.13 still calls its own old tree functions.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated.*", FutureWarning),
)

_TALKATIVE = (
    "torch.onnx._internal.exporter._registration",  # torchvision is not installed
    "onnx_ir._convenience",  # the type of an empty attribute is ambiguous
)


@contextmanager
def quiet_export() -> Iterator[None]:
    """Silence advice about packages and attributes that concern no user, errors excepted."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message, category in _UNWANTED:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
