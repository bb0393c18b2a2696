"""Thermal noise: complex, white, Gaussian, added in k-space."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Complex
from pydantic import Field
from torch import Tensor

from spinforge.simulation.arrays import ComplexImage
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sequences import DualEcho, GradientEcho, PulseSequence
from spinforge.simulation.tissue import Tissue

NoiseReference = Literal["wm", "csf", "gm", "brightest", "rms", "max", "absolute", "brainweb"]


class Noise(Config):
    """Noise in percent of a reference signal.

    The standard deviation of EACH of the real and imaginary channel is percent / 100 times the
    reference, by default the noise-free white-matter signal of that subject's own TR and TE. With
    several coils it is that of each coil, and of their optimal combination where the root sum of
    squares of the sensitivities is 1.
    """

    percent: float = Field(10.0, ge=0, le=100, description="noise level [% of the reference]")
    reference: NoiseReference = Field(
        "wm",
        description="what is 100 %: the signal of a tissue or of the brightest of the phantom's "
        "classes, the root mean square or maximum of the noise-free image, a proton density of 1, "
        "or what BrainWeb takes: WM for T1 (gradient echo), CSF for T2 and PD (dual echo), each "
        "times 1 mm / slice thickness",
    )


_REFERENCE_TISSUES = {
    "wm": Tissue.WHITE_MATTER,
    "csf": Tissue.CSF,
    "gm": Tissue.GREY_MATTER,
}


def reference_tissue(noise: Noise, sequence: PulseSequence) -> Tissue | None:
    """The tissue whose signal is 100 %; None if the reference is no single tissue."""
    if noise.reference == "brainweb":
        return Tissue.WHITE_MATTER if isinstance(sequence, GradientEcho) else Tissue.CSF
    return _REFERENCE_TISSUES.get(noise.reference)


def check_noise(
    noise: Noise, sequence: PulseSequence, tissues: tuple[Tissue, ...] | None = None
) -> None:
    """Check that the reference is defined for the sequence and, if they are known, the tissues.

    Raises:
        SpinforgeError: If BrainWeb's noise is asked for of a sequence that BrainWeb does not have,
            or the phantom does not have the tissue.
    """
    tissue = reference_tissue(noise, sequence)
    if tissues is not None and tissue is not None and tissue not in tissues:
        raise SpinforgeError(
            f"data.noise.reference = {noise.reference}: the phantom has no {tissue.name}. Choose "
            f"brightest, rms, max or absolute."
        )
    if noise.reference == "brainweb" and not isinstance(sequence, GradientEcho | DualEcho):
        raise SpinforgeError(
            f"data.noise.reference = brainweb: BrainWeb has no {sequence.kind}. Its noise is that "
            f"of gradient_echo (T1) and dual_echo (T2, PD); choose wm, csf, gm, brightest, rms, "
            f"max or absolute."
        )


def reference_signal(
    noise: Noise,
    sequence: PulseSequence,
    tissues: tuple[Tissue, ...],
    amplitudes: Tensor,
    image: ComplexImage,
) -> float:
    """The signal that is 100 % noise, in a slice of 1 mm for BrainWeb's.

    Args:
        noise: Which reference.
        sequence: Decides BrainWeb's reference tissue.
        tissues: Tissues of the phantom.
        amplitudes: Noise-free signal of each, (tissue,).
        image: Noise-free images, (slice, ky, kx).

    Raises:
        SpinforgeError: As `check_noise`.
    """
    check_noise(noise, sequence, tissues)
    if noise.reference == "absolute":
        return 1.0
    if noise.reference == "rms":
        return float(image.abs().double().square().mean().sqrt())
    if noise.reference == "max":
        return float(image.abs().max())
    tissue = reference_tissue(noise, sequence)
    if tissue is None:  # the brightest
        return float(amplitudes.abs().max())
    return float(amplitudes[tissues.index(tissue)].abs())


def noise_std(noise: Noise, reference: float, thickness_mm: float) -> float:
    """Standard deviation per real and imaginary channel, in signal units.

    BrainWeb's falls with the thickness of the slices, as more spins are averaged; that of any other
    reference is a percentage of the signal, whatever the thickness.

    Args:
        noise: Level.
        reference: What is 100 %, of `reference_signal`.
        thickness_mm: Slice thickness [mm].

    Source:
        mrisim, the simulator of BrainWeb (Kwan, Evans, Pike, IEEE TMI 18(11):1085, 1999): its
        `percent` coil and the coil files of its templates.
    """
    std = noise.percent / 100 * reference
    return std / thickness_mm if noise.reference == "brainweb" else std


def correlated_coils(
    noise: Complex[Tensor, "*batch coil kx"], correlation: float
) -> Complex[Tensor, "*batch coil kx"]:
    """Independent noise of unit deviation with the same correlation between any two coils."""
    covariance = torch.full((noise.shape[-2], noise.shape[-2]), correlation).fill_diagonal_(1.0)
    mixing = torch.linalg.cholesky(covariance).to(noise.dtype)
    return torch.einsum("ij,...jx->...ix", mixing.to(noise.device, non_blocking=True), noise)


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
