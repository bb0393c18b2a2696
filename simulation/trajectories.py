"""Radial and spiral scans: where they sample k-space, and their Fourier transform."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from spinforge.simulation.arrays import ComplexImage
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

Trajectory = Float[Tensor, "shot sample 2"]
"""Coordinates (ky, kx) of each sample in cycles per field of view; zero is the centre."""

ShotSamples = Complex[Tensor, "*batch shot sample"]

GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2
"""111.25 degrees: any number of successive spokes divides the circle nearly evenly [rad]."""

# Kaiser-Bessel gridding with twice the grid and six neighbours is exact to 1e-5 of the norm;
# sigpy's default, 1.25 and 4, to 7e-3.
_OVERSAMPLING = 2.0
_KERNEL_WIDTH = 6


class Radial(Config):
    """Straight spokes through the centre of k-space, each a golden angle from the last."""

    kind: Literal["radial"] = "radial"
    spokes: int = Field(64, ge=1, le=100_000, description="number of spokes")
    readout_oversampling: int = Field(
        2, ge=1, le=8, description="samples along a spoke over the longer side of the matrix"
    )


class Spiral(Config):
    """Archimedean interleaves from the centre of k-space outwards, evenly rotated."""

    kind: Literal["spiral"] = "spiral"
    interleaves: int = Field(16, ge=1, le=10_000, description="number of spiral arms")
    acceleration: float = Field(
        1.0, ge=0.25, le=64, description="distance of neighbouring turns over the Nyquist distance"
    )


NonCartesian = Annotated[Radial | Spiral, Field(discriminator="kind")]


def radial_trajectory(sampling: Radial, shape: tuple[int, int]) -> Trajectory:
    """Spokes over the full diameter, from one edge of k-space to the other.

    Args:
        sampling: Number of spokes and readout oversampling.
        shape: Matrix (ky, kx); spokes are straight in units of its edges, which are reached.

    Returns:
        (spoke, sample, 2). Sample N // 2 of every spoke is the centre.

    Source:
        Winkelmann et al., IEEE Trans. Med. Imaging 26:68 (2007).
    """
    n_samples = sampling.readout_oversampling * max(shape)
    radius = (torch.arange(n_samples, dtype=torch.float64) - n_samples // 2) / n_samples
    angle = GOLDEN_ANGLE * torch.arange(sampling.spokes, dtype=torch.float64)
    return _polar(radius.expand(len(angle), -1), angle[:, None], shape)


def spiral_trajectory(sampling: Spiral, shape: tuple[int, int]) -> Trajectory:
    r"""Interleaves with $k \propto \theta$, sampled at equal arc length.

    Neighbouring turns of all interleaves together are `acceleration` grid steps apart, and
    samples along an arm at most one: along the longer side of the matrix.

    Returns:
        (interleaf, sample, 2). Every arm starts at the centre and ends at the edge.

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 17.6.
    """
    edge = max(shape) / 2
    last = 2 * math.pi * edge / (sampling.interleaves * sampling.acceleration)
    pitch = edge / last
    theta = np.linspace(0, last, 64 * max(shape))
    length = pitch / 2 * (theta * np.sqrt(1 + theta**2) + np.arcsinh(theta))
    steps = np.linspace(0, length[-1], math.ceil(length[-1]) + 1)
    arm = torch.from_numpy(np.interp(steps, length, theta))
    start = 2 * math.pi * torch.arange(sampling.interleaves) / sampling.interleaves
    angle = arm + start[:, None].double()
    return _polar((arm / last / 2).expand_as(angle), angle, shape)


def _polar(radius: Tensor, angle: Tensor, shape: tuple[int, int]) -> Tensor:
    """From polar coordinates, a radius of 1/2 being the edge, to cycles per field of view."""
    unit = torch.stack((radius * torch.sin(angle), radius * torch.cos(angle)), dim=-1)
    return unit * torch.tensor(shape, dtype=torch.float64)


def image_to_samples(image: ComplexImage, trajectory: Trajectory) -> ShotSamples:
    r"""Sample $\sum_r m(r)\,e^{-2\pi i k r} / \sqrt{N}$ anywhere (NUFFT).

    On the points of the Cartesian grid this is `image_to_kspace`, to 1e-5 of the norm.

    Args:
        image: (..., ky, kx).
        trajectory: Coordinates, within half the matrix.

    Returns:
        (..., shot, sample), of the image's type.

    Raises:
        SpinforgeError: If the trajectory leaves the k-space of the image.

    Source:
        Beatty et al., IEEE Trans. Med. Imaging 24:799 (2005), as sigpy 0.1.27 has it.
    """
    _check_within(trajectory, (image.shape[-2], image.shape[-1]))

    def transform(values: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        import sigpy

        return sigpy.nufft(values, coordinates, oversamp=_OVERSAMPLING, width=_KERNEL_WIDTH)

    return _through_numpy(transform, image, trajectory)


def samples_to_image(
    samples: ShotSamples, trajectory: Trajectory, shape: tuple[int, int]
) -> ComplexImage:
    """Adjoint of `image_to_samples`; with density-compensated samples this is gridding.

    Args:
        samples: (..., shot, sample).
        trajectory: Their coordinates.
        shape: Matrix (ky, kx) of the image.

    Returns:
        (..., ky, kx), of the samples' type.

    Raises:
        SpinforgeError: If the trajectory leaves the k-space of the image.
    """
    _check_within(trajectory, shape)
    full = (*samples.shape[:-2], *shape)

    def transform(values: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        import sigpy

        return sigpy.nufft_adjoint(
            values, coordinates, full, oversamp=_OVERSAMPLING, width=_KERNEL_WIDTH
        )

    return _through_numpy(transform, samples, trajectory)


def _through_numpy(
    transform: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    values: Tensor,
    trajectory: Tensor,
) -> Tensor:
    """Compute on the CPU, as sigpy does; type and device of `values` are kept."""
    coordinates = trajectory.detach().cpu().to(torch.float64).numpy()
    result = transform(values.detach().cpu().numpy(), coordinates)
    return torch.from_numpy(result).to(values)


def _check_within(trajectory: Tensor, shape: tuple[int, int]) -> None:
    for axis, (name, size) in enumerate(zip(("ky", "kx"), shape, strict=True)):
        farthest = float(trajectory[..., axis].abs().max())
        if not farthest <= size / 2:
            raise SpinforgeError(
                f"trajectory: {name} reaches {farthest:g} cycles per field of view, but an image "
                f"of {size} points holds only {size / 2:g}. Make the trajectory for the shape "
                f"{shape}."
            )
