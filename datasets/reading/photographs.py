"""Photographs as networks take them: three colours and their grey channel, each from 0 to 1."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float32, Shaped

from spinforge.simulation.phantoms.skin import with_grey_channel

COLOURS = ("red", "green", "blue")
GREY = "grey"


def with_grey(
    colours: Mapping[str, Shaped[np.ndarray, "z y x"]], scale: Mapping[str, float]
) -> dict[str, Float32[np.ndarray, "z y x"]]:
    """The three colours as numbers and their luma, which is not stored.

    So the grey channel of a corrupted photograph is that of its corrupted colours.

    Args:
        colours: Red, green and blue of every photograph, as they are stored.
        scale: What a stored value of each is multiplied with to be 0 to 1.

    Returns:
        Red, green, blue and grey.

    Source:
        Four channels: Wang et al., "High- and low-level feature enhancement for medical image
        segmentation" (MLMI 2019), section 3; weights: `simulation.phantoms.skin.GREY_WEIGHTS`.
    """
    scaled = np.stack([colours[c].astype(np.float32) * np.float32(scale[c]) for c in COLOURS])
    _, count, rows, columns = scaled.shape
    # One tall photograph: the luma of a pixel does not depend on its place.
    flat = torch.from_numpy(scaled.reshape(len(COLOURS), count * rows, columns))
    channels = with_grey_channel(flat).numpy().reshape(-1, count, rows, columns)
    return dict(zip((*COLOURS, GREY), channels, strict=True))
