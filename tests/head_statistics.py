"""Shape statistics of a label map, to compare a procedural brain with BrainWeb's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CSF, GREY, WHITE = 1, 2, 3

# Measured on BrainWeb's discrete normal model (181 x 217 x 181 voxels of 1 mm) by the same
# definitions as below.
BRAINWEB_FRACTIONS = {CSF: 0.191, GREY: 0.463, WHITE: 0.346}
BRAINWEB_GREY_WHITE_AREA_CM2 = 2596.0
BRAINWEB_GREY_CSF_AREA_CM2 = 2253.0
BRAINWEB_WHITE_SPECTRUM = np.array(
    [0.247, 0.113, 0.111, 0.090, 0.099, 0.069, 0.074, 0.056, 0.041, 0.039, 0.061]
)

# Edges of the spectrum's bands [cycles/mm at 1 mm voxels].
BAND_EDGES = np.array([0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3, 0.5])

# Counting voxel faces overestimates the area of a randomly oriented surface by this factor.
FACES_PER_AREA = 1.5


@dataclass(frozen=True)
class BrainStatistics:
    """What the acceptance limits are about; see each function below."""

    fractions: dict[int, float]
    grey_white_area_cm2: float
    grey_csf_area_cm2: float
    white_perimeter_per_area: float
    white_spectrum: NDArray[np.float64]
    dominance: dict[int, float]


def brain_statistics(labels: NDArray[np.uint8]) -> BrainStatistics:
    """All statistics of a tissue label map of 1 mm voxels."""
    brain = largest_brain_component(labels)
    counts = {tissue: int((brain == tissue).sum()) for tissue in (CSF, GREY, WHITE)}
    total = sum(counts.values())
    slices = central_axial_white_slices(brain)
    return BrainStatistics(
        fractions={tissue: count / total for tissue, count in counts.items()},
        grey_white_area_cm2=interface_area_cm2(brain, GREY, WHITE),
        grey_csf_area_cm2=interface_area_cm2(brain, GREY, CSF),
        white_perimeter_per_area=perimeter_per_area(slices),
        white_spectrum=radial_spectrum(slices),
        dominance={tissue: dominance(brain == tissue) for tissue in (CSF, GREY, WHITE)},
    )


def largest_brain_component(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels 1 to 3 of the largest connected brain."""
    brain = np.where((labels >= CSF) & (labels <= WHITE), labels, 0).astype(np.uint8)
    components, _ = ndimage.label(brain > 0)
    largest = np.bincount(components.ravel())[1:].argmax() + 1
    return np.where(components == largest, brain, 0).astype(np.uint8)


def interface_area_cm2(labels: NDArray[np.uint8], first: int, second: int) -> float:
    """Area between two labels, from the number of voxel faces they share."""
    faces = 0
    for axis in range(3):
        below = np.moveaxis(labels, axis, 0)[:-1]
        above = np.moveaxis(labels, axis, 0)[1:]
        faces += int(((below == first) & (above == second)).sum())
        faces += int(((below == second) & (above == first)).sum())
    return faces / FACES_PER_AREA / 100.0


def central_axial_white_slices(brain: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """White matter in 15 axial slices over the central half of the brain's height."""
    heights = np.flatnonzero((brain > 0).any(axis=(0, 1)))
    low = heights[0] + 0.25 * len(heights)
    high = heights[0] + 0.75 * len(heights)
    chosen = np.linspace(low, high, 15).astype(int)
    return np.moveaxis(brain[:, :, chosen] == WHITE, 2, 0)


def perimeter_per_area(slices: NDArray[np.bool_]) -> float:
    """Voxel edges on the outline per voxel inside."""
    perimeter = sum(int(np.diff(slices, axis=axis).sum()) for axis in (1, 2))
    return perimeter / int(slices.sum())


def radial_spectrum(slices: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the slices' spectral power in each band of spatial frequency."""
    fluctuation = slices - slices.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(fluctuation)) ** 2).sum(axis=0)
    fx = np.fft.fftfreq(slices.shape[1])[:, None]
    fy = np.fft.fftfreq(slices.shape[2])[None, :]
    band = np.digitize(np.hypot(fx, fy), BAND_EDGES)
    shares = np.bincount(band.ravel(), weights=power.ravel(), minlength=len(BAND_EDGES) + 1)
    shares = shares[1 : len(BAND_EDGES)]
    return np.asarray(shares / shares.sum())


def dominance(mask: NDArray[np.bool_]) -> float:
    """Share of the largest 26-connected component."""
    components, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(components.ravel())[1:]
    return float(sizes.max() / sizes.sum())


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Overlap of two masks."""
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))
