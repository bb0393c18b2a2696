"""The images that networks reconstruct on their way from k-space to labels, scored."""

import numpy as np
import pandas as pd
from jaxtyping import Float32

from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.evaluation.image_quality import score_images


def score_reconstructions(
    images: Float32[np.ndarray, "slice ky kx"], slices: ZeroFilledSlices, *, network: str
) -> pd.DataFrame:
    """PSNR, SSIM and NRMSE of every slice, against its image of all lines.

    That image has the noise that its lines have, as have the images that reconstructions are
    trained on. Both are compared as they were before each slice was scaled for the network, so
    that a volume has one peak.

    Args:
        images: Magnitudes as `predict_slices` gives them, in the scale of each measurement.
        slices: What was segmented.
        network: Name of the network.

    Returns:
        Rows as of `score_images`.

    Raises:
        ValueError: If there is not one image per slice, of its size.
    """
    if len(images) != len(slices):
        raise ValueError(f"need one image per slice, got {len(images)} for {len(slices)} slices")
    volumes: dict[str, list[int]] = {}
    for position, (subject, _) in enumerate(slices.index):
        volumes.setdefault(subject, []).append(position)
    tables = [
        score_images(
            np.stack([images[n] * np.float32(slices.scale(n)) for n in positions]),
            np.stack([slices.fully_sampled(n).abs().numpy() for n in positions]),
            subject=subject,
            network=network,
            slices=[slices.index[n][1] for n in positions],
        )
        for subject, positions in volumes.items()
    ]
    return pd.concat(tables, ignore_index=True)
