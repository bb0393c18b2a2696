"""How close a reconstructed image is to the fully sampled one."""

import math

import numpy as np
import pandas as pd
from jaxtyping import Float
from skimage.metrics import structural_similarity

Images = Float[np.ndarray, "slice ky kx"]
Image = Float[np.ndarray, "ky kx"]

SMALLEST = 7
"""Side of the window of SSIM [pixel]; images must not be smaller."""


def nrmse(image: Image, reference: Image) -> float:
    r"""Root-mean-square error over the root mean square of the reference.

    $|x - r|_2 / |r|_2$: 0 if equal, 1 of an empty image. NaN if the reference is empty.

    Args:
        image: Magnitude.
        reference: Magnitude of the fully sampled image.
    """
    norm = float(np.linalg.norm(reference.astype(np.float64)))
    error = float(np.linalg.norm(image.astype(np.float64) - reference))
    return error / norm if norm else math.nan


def psnr(image: Image, reference: Image, *, peak: float) -> float:
    r"""Peak signal-to-noise ratio: $20 \log_{10}(peak / RMSE)$ [dB]; infinite if equal.

    Args:
        image: Magnitude.
        reference: Magnitude of the fully sampled image.
        peak: What counts as the largest value: that of the whole reference volume, so that dark
            slices are not judged more strictly.

    Raises:
        ValueError: If the peak is not positive.
    """
    _check_peak(peak)
    mse = float(np.square(image.astype(np.float64) - reference).mean())
    return 10 * math.log10(peak**2 / mse) if mse else math.inf


def ssim(image: Image, reference: Image, *, peak: float) -> float:
    """Structural similarity, mean over windows of 7 x 7 pixels; 1 if equal.

    With equal weights in each window, sample covariances and the constants 0.01 and 0.03, as
    fastMRI's evaluation has it.

    Args:
        image: Magnitude.
        reference: Magnitude of the fully sampled image.
        peak: As of `psnr`.

    Raises:
        ValueError: If the peak is not positive or the images are smaller than a window.

    Source:
        Wang et al., IEEE TIP 13(4):600 (2004); computed by scikit-image.
    """
    _check_peak(peak)
    if min(image.shape) < SMALLEST:
        raise ValueError(f"need images of {SMALLEST} pixels a side or more, got {image.shape}")
    pair = reference.astype(np.float64), image.astype(np.float64)
    return float(structural_similarity(*pair, data_range=peak, win_size=SMALLEST))


def score_images(
    image: Images, reference: Images, *, subject: str, network: str, slices: list[int]
) -> pd.DataFrame:
    """PSNR, SSIM and NRMSE of every slice, as rows of the table of scores.

    Args:
        image: Magnitudes of the reconstructed slices of one volume.
        reference: Those of the fully sampled ones, same shape.
        subject: Name of the subject.
        network: Name of the network.
        slices: Index of each slice in the volume.

    Returns:
        Columns network, subject, slice, tissue ("all"), metric, value. Of a reference without any
        signal all values are NaN.

    Raises:
        ValueError: If the shapes differ or there is not one index per slice.
    """
    if image.shape != reference.shape:
        raise ValueError(f"need equal shapes, got {image.shape} and {reference.shape}")
    peak = float(reference.max(initial=0))
    rows = []
    for number, found, true in zip(slices, image, reference, strict=True):
        values = {"psnr_db": math.nan, "ssim": math.nan, "nrmse": nrmse(found, true)}
        if peak > 0 and true.any():
            values["psnr_db"] = psnr(found, true, peak=peak)
            values["ssim"] = ssim(found, true, peak=peak)
        rows += [(network, subject, number, "all", *item) for item in values.items()]
    return pd.DataFrame(
        rows, columns=["network", "subject", "slice", "tissue", "metric", "value"]
    ).astype({"value": np.float64})


def _check_peak(peak: float) -> None:
    if not 0 < peak < math.inf:
        raise ValueError(f"need a positive, finite peak, got {peak}")
