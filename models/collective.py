"""Sums over all processes that train a network together; with one process, nothing happens.

Every process computes the loss of the whole batch from such sums, so all of them know it, and a
loss that is not a number stops them together. Their gradients are to be averaged, as PyTorch's
`DistributedDataParallel` does: the sum over processes of the derivatives of N equal losses, divided
by N, is the derivative of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_ALONE = ContextVar("alone", default=False)


@contextmanager
def each_alone() -> Iterator[None]:
    """Let each process compute for itself: in this block none sums or waits for the others.

    For what the processes do a different number of times, such as validating batches.
    """
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def n_processes() -> int:
    """How many processes train together; 1 within `each_alone`."""
    if not (dist.is_available() and dist.is_initialized()) or _ALONE.get():
        return 1
    return dist.get_world_size()


def process_number() -> int:
    """Which of them this one is, from 0; the first one writes the files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def sum_over_processes(value: Tensor) -> Tensor:
    """Sum of a tensor over all processes, known to each of them; differentiable.

    Args:
        value: Of the same shape and type in each process.

    Returns:
        Same shape; `value` itself where there is one process.
    """
    if n_processes() == 1:
        return value
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """Sum over processes; each process' share in all losses is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)


def texts_of_processes(text: str) -> list[str]:
    """A text of each process, known to all; every one of them has to ask."""
    if n_processes() == 1:
        return [text]
    texts: list[Any] = [None] * n_processes()
    dist.all_gather_object(texts, text)
    return texts
