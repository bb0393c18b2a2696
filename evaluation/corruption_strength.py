"""How far corrupted images are from the clean ones, set by set, in any amount of data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.reconstruction import root_sum_of_squares


@dataclass(frozen=True)
class Strength:
    """Mean over subjects.

    Attributes:
        nrmse: Error over signal, each as root mean square over the volume; 0 if equal.
        psnr: 20 log10(largest value of the clean volume / RMSE) [dB]; infinite if equal.
    """

    nrmse: float
    psnr: float


def slice_sums(corrupted: da.Array, clean: da.Array) -> da.Array:
    """What the figures of a volume are computed from, lazily and block by block.

    Args:
        corrupted: Images (slice, row, column), or complex k-space of coils
            (slice, coil, ky, kx), which is compared as magnitude images.
        clean: Of the same shape and blocks.

    Returns:
        (slice, 4): squared error, squared signal, number of pixels, largest value. Sums are in
        float64 and of single slices, so they depend neither on blocks nor on workers.
    """
    whole = {axis: -1 for axis in range(1, clean.ndim)}
    pair = corrupted.rechunk(whole), clean.rechunk(whole)
    return da.map_blocks(
        _block_sums,
        *pair,
        dtype=np.float64,
        drop_axis=list(range(2, clean.ndim)),
        chunks=(clean.chunks[0], (4,)),
        meta=np.empty((0, 4)),
    )


def strength(volumes: Sequence[NDArray[np.float64]]) -> Strength:
    """Figures from the computed sums of each subject's volume.

    Args:
        volumes: (slice, 4) of `slice_sums`, one for each subject.
    """
    figures = [_of_volume(sums) for sums in volumes]
    nrmse, psnr = (math.fsum(values) / len(figures) for values in zip(*figures, strict=True))
    return Strength(nrmse, psnr)


def _of_volume(sums: NDArray[np.float64]) -> tuple[float, float]:
    error, signal, pixels = (math.fsum(column) for column in sums[:, :3].T)
    peak = float(sums[:, 3].max())
    nrmse = math.sqrt(error / signal) if signal else math.nan
    return nrmse, 10 * math.log10(peak**2 * pixels / error) if error and peak else math.inf


def _block_sums(corrupted: NDArray[np.generic], clean: NDArray[np.generic]) -> NDArray[np.float64]:
    rows = []
    for one, reference in zip(corrupted, clean, strict=True):  # one slice in memory as float64
        value, truth = _magnitude(one), _magnitude(reference)
        error = np.square(value - truth).sum()
        rows.append([error, np.square(truth).sum(), truth.size, truth.max(initial=0.0)])
    return np.array(rows, np.float64).reshape(-1, 4)


def _magnitude(values: NDArray[np.generic]) -> NDArray[np.float64]:
    if not np.iscomplexobj(values):
        return values.astype(np.float64)
    images = kspace_to_image(torch.from_numpy(values.astype(np.complex128)))
    return root_sum_of_squares(images).numpy()
