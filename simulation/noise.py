"""Thermal noise: complex, white, Gaussian, added in k-space."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from spinforge.simulation.arrays import ComplexImage
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import Tissue


class Noise(Config):
    """Noise in percent of a reference signal.

    The standard deviation of EACH of the real and imaginary channel is percent / 100 times the
    reference, by default the noise-free white-matter signal of that subject's own TR and TE. With
    several coils it is that of each coil, and of their optimal combination where the root sum of
    squares of the sensitivities is 1.
    """

    percent: float = Field(10.0, ge=0, le=100, description="noise level [% of the reference]")
    reference: Literal["wm", "csf", "gm", "brightest", "rms", "max", "absolute"] = Field(
        "wm",
        description="what is 100 %: the signal of a tissue or of the brightest of the phantom's "
        "classes, the root mean square or maximum of the noise-free image, a proton density of 1",
    )


_REFERENCE_TISSUES = {
    "wm": Tissue.WHITE_MATTER,
    "csf": Tissue.CSF,
    "gm": Tissue.GREY_MATTER,
}


def reference_signal(
    noise: Noise, tissues: tuple[Tissue, ...], amplitudes: Tensor, image: ComplexImage
) -> float:
    """The signal that is 100 % noise.

    Args:
        noise: Which reference.
        tissues: Tissues of the phantom.
        amplitudes: Noise-free signal of each, (tissue,).
        image: Noise-free images, (slice, ky, kx).

    Raises:
        SpinforgeError: If the phantom does not have the tissue.
    """
    if noise.reference == "absolute":
        return 1.0
    if noise.reference == "rms":
        return float(image.abs().double().square().mean().sqrt())
    if noise.reference == "max":
        return float(image.abs().max())
    if noise.reference == "brightest":
        return float(amplitudes.abs().max())
    tissue = _REFERENCE_TISSUES[noise.reference]
    if tissue not in tissues:
        raise SpinforgeError(
            f"data.noise.reference = {noise.reference}: the phantom has no such tissue. Choose "
            f"brightest, rms, max or absolute."
        )
    return float(amplitudes[tissues.index(tissue)].abs())


def noise_std(noise: Noise, reference: float) -> float:
    """Standard deviation per real and imaginary channel, in signal units."""
    return noise.percent / 100 * reference


def draw_noise(
    rng: SampleRng, shape: tuple[int, ...], std: float, coil_correlation: float = 0.0
) -> Tensor:
    """Complex white Gaussian noise of one slice.

    Always drawn for the whole slice, never for a part of it, so that no chunking can change it.

    Args:
        rng: Random numbers of this slice's noise.
        shape: Shape of the slice, (coil, ky, kx).
        std: Standard deviation of each channel of each coil.
        coil_correlation: Correlation of any two coils.

    Returns:
        complex64 of that shape.
    """
    real, imaginary = rng.normals(2, *shape) * std
    noise = real + 1j * imaginary
    if coil_correlation:
        covariance = np.full((shape[0], shape[0]), coil_correlation)
        np.fill_diagonal(covariance, 1.0)
        noise = np.tensordot(np.linalg.cholesky(covariance), noise, axes=1)
    return torch.from_numpy(noise.astype(np.complex64))
