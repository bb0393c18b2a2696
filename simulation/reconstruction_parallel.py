"""Images from undersampled k-space of several coils: ESPIRiT, SENSE, compressed sensing.

The work is sigpy's, which is slow to import and so imported where it is used. It computes on the
CPU; tensors keep their device.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Complex
from numpy.typing import NDArray
from torch import Tensor

from spinforge.simulation.arrays import CoilImages, ComplexImage
from spinforge.simulation.errors import SpinforgeError

Sensitivities = Complex[Tensor, "*#batch coil ky kx"]
SampleMask = Bool[Tensor, "*#batch ky #kx"]
"""Acquired samples of the plane; a line mask as `mask[..., None]`."""


def espirit_maps(
    kspace: CoilImages, *, calibration_width: int = 24, crop: float = 0.95
) -> CoilImages:
    """Estimate the receive sensitivities from the fully sampled centre of k-space.

    The maps have root sum of squares 1 and the phase of the first coil.

    Args:
        kspace: (..., coil, ky, kx), each slice calibrated on its own.
        calibration_width: Width of the fully sampled centre along ky and kx [samples].
        crop: Eigenvalue of the reprojection, at most 1, below which a pixel counts as air.

    Returns:
        (..., coil, ky, kx) complex64; 0 in air.

    Raises:
        SpinforgeError: If the centre is not sampled that far.

    Source:
        Uecker et al., Magn. Reson. Med. 71:990 (2014), as sigpy 0.1.27 has it.
    """
    _check_calibration(kspace, calibration_width)

    def calibrate(values: NDArray[Any]) -> NDArray[Any]:
        from sigpy.mri.app import EspiritCalib

        # Where the first coil is exactly 0 its phase is undefined: such a pixel counts as air.
        with np.errstate(divide="ignore", invalid="ignore"):
            maps = EspiritCalib(
                values, calib_width=calibration_width, crop=crop, show_pbar=False
            ).run()
        return np.nan_to_num(maps)

    return _each_slice(calibrate, kspace)


def sense(
    kspace: CoilImages,
    sensitivities: Sensitivities,
    mask: SampleMask,
    *,
    iterations: int = 30,
    regularisation: float = 0.0,
) -> ComplexImage:
    r"""Reconstruct by conjugate gradients on the normal equations.

    $\min_x \frac{1}{2} \|P F C x - y\|_2^2 + \frac{\lambda}{2} \|x\|_2^2$ with sampling P,
    Fourier transform F, sensitivities C and data y.

    Args:
        kspace: y, (..., coil, ky, kx); samples outside `mask` are ignored.
        sensitivities: C, for every slice or one for all.
        mask: P.
        iterations: Conjugate-gradient steps; with noise, fewer steps regularise too.
        regularisation: lambda, in units of sum |C|^2.

    Returns:
        (..., ky, kx) complex64: the object at unit sensitivity.

    Source:
        Pruessmann et al., Magn. Reson. Med. 46:638 (2001), as sigpy 0.1.27 has it.
    """

    def reconstruct(data: NDArray[Any], maps: NDArray[Any], acquired: NDArray[Any]) -> NDArray[Any]:
        from sigpy.mri.app import SenseRecon

        return SenseRecon(
            data,
            maps,
            lamda=regularisation,
            weights=acquired.astype(np.float32),
            max_iter=iterations,
            show_pbar=False,
        ).run()

    return _each_slice(reconstruct, kspace, sensitivities, mask)


def l1_wavelet(
    kspace: CoilImages,
    sensitivities: Sensitivities,
    mask: SampleMask,
    *,
    regularisation: float = 0.005,
    iterations: int = 60,
) -> ComplexImage:
    r"""Compressed sensing: the image that is sparse in wavelets and agrees with the samples.

    $\min_x \frac{1}{2} \|P F C x - y\|_2^2 + \lambda \|W x\|_1$, by accelerated proximal
    gradient steps; W the transform with Daubechies' wavelets of four vanishing moments.

    Args:
        kspace: y, (..., coil, ky, kx); samples outside `mask` are ignored.
        sensitivities: C, for every slice or one for all; ones for a single coil.
        mask: P.
        regularisation: lambda over the largest magnitude of the zero-filled $C^H F^H P y$, so
            that the unit of the data does not matter.
        iterations: Number of steps.

    Returns:
        (..., ky, kx) complex64: the object at unit sensitivity.

    Source:
        Lustig et al., Magn. Reson. Med. 58:1182 (2007), as sigpy 0.1.27 has it.
    """

    def reconstruct(data: NDArray[Any], maps: NDArray[Any], acquired: NDArray[Any]) -> NDArray[Any]:
        import sigpy
        from sigpy.mri.app import L1WaveletRecon

        zero_filled = (maps.conj() * sigpy.ifft(data * acquired, axes=(-2, -1))).sum(0)
        if not zero_filled.any():  # a slice of air: 0 is the minimum
            return zero_filled
        # The largest eigenvalue of the normal operator is at most the largest sum |C|^2, the
        # Fourier transform being orthonormal. Left alone, sigpy estimates it from a random
        # start, drawn from NumPy's global generator.
        largest = float((np.abs(maps) ** 2).sum(0).max())
        return L1WaveletRecon(
            data,
            maps,
            lamda=regularisation * float(np.abs(zero_filled).max()),
            weights=acquired.astype(np.float32),
            wave_name="db4",
            alpha=1 / largest,
            max_iter=iterations,
            show_pbar=False,
        ).run()

    return _each_slice(reconstruct, kspace, sensitivities, mask)


def _each_slice(
    reconstruct: Callable[..., NDArray[Any]], kspace: Tensor, *others: Tensor
) -> Tensor:
    """Call `reconstruct` for every slice of the batch, in NumPy and single precision."""
    batch = kspace.shape[:-3]
    inputs = [kspace.to(torch.complex64)]
    for other in others:
        # Sensitivities have a coil axis, masks have none.
        own = other.shape[-3:] if other.is_complex() else other.shape[-2:]
        single = other.to(torch.complex64) if other.is_complex() else other
        inputs.append(single.expand(*batch, *own))
    flat = [i.detach().cpu().reshape(-1, *i.shape[len(batch) :]).numpy() for i in inputs]
    results = [reconstruct(*slices) for slices in zip(*flat, strict=True)]
    stacked = torch.from_numpy(np.stack(results).astype(np.complex64))
    return stacked.reshape(*batch, *stacked.shape[1:]).to(kspace.device)


def _check_calibration(kspace: Tensor, width: int) -> None:
    height, breadth = kspace.shape[-2:]
    if not 8 <= width <= min(height, breadth):
        raise SpinforgeError(
            f"espirit_maps: calibration_width = {width} must lie between 8 and the shorter side "
            f"of the matrix, {min(height, breadth)}."
        )
    top, left = height // 2 - width // 2, breadth // 2 - width // 2
    centre = kspace[..., top : top + width, left : left + width]
    missing = int((centre == 0).all(-3).reshape(-1, width, width).any(0).sum())
    if missing:
        raise SpinforgeError(
            f"espirit_maps: {missing} of the {width} x {width} central samples were not acquired. "
            f"Lower calibration_width to the fully sampled centre."
        )
