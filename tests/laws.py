"""Laws that any operator of the kind must obey; used by tests of several folders."""

from collections.abc import Callable

import torch
from torch import Tensor

Operator = Callable[[Tensor], Tensor]


def assert_adjoint(
    forward: Operator, adjoint: Operator, x: Tensor, y: Tensor, *, rtol: float
) -> None:
    """<A x, y> = <x, A* y>; shapes first, because vdot flattens."""
    ax, ay = forward(x), adjoint(y)
    assert (ax.shape, ay.shape) == (y.shape, x.shape)
    left = torch.vdot(ax.flatten(), y.flatten())
    right = torch.vdot(x.flatten(), ay.flatten())
    torch.testing.assert_close(left, right, rtol=rtol, atol=0.0)


def assert_isometry(forward: Operator, x: Tensor, *, rtol: float) -> None:
    """||A x|| = ||x||, the norms summed in double precision."""
    energies = [values.to(torch.complex128).norm() for values in (forward(x), x)]
    torch.testing.assert_close(*energies, rtol=rtol, atol=0.0)
