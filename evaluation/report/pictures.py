"""Slices as small PNG pictures that can stand inside the page.

Every picture uses a palette, so that a file has one byte or less per pixel before compression.
Slices are stored (ky, kx), kx from posterior to anterior, and shown with anterior up and the
first phase-encoding index on the left of the picture: the patient's left in RAS order, which has
not been verified for BrainWeb. Pixels are assumed square.
"""

import base64
import io
from collections.abc import Collection

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from spinforge.evaluation.report.colours import (
    BLACK,
    ERROR_COLOURS,
    GREY,
    WHITE,
    rgb,
)
from spinforge.evaluation.report.content import Labels, Magnitude

GREY_LEVELS = 32
OPACITY = 128
BRIGHTEST_PERCENTILE = 99.5

Palette = UInt8[np.ndarray, "entry rgb"]


def magnitude_picture(image: Magnitude) -> str:
    """Grey picture; white is the 99.5th percentile of the image, black is zero."""
    brightest = max(float(np.percentile(image, BRIGHTEST_PERCENTILE)), np.finfo(np.float32).tiny)
    levels = np.rint(np.clip(image / brightest, 0, 1) * (GREY_LEVELS - 1))
    grey = np.rint(np.linspace(0, 255, GREY_LEVELS)).astype(np.uint8)
    return data_uri(levels.astype(np.uint8), np.repeat(grey[:, None], 3, axis=1))


def tint_picture(labels: Labels, colours: Collection[str]) -> str:
    """Half-transparent colour for every class but the background, to lie over a grey picture."""
    opacity = bytes([0, *[OPACITY] * len(colours)])
    return data_uri(labels, _palette(BLACK, *colours), transparency=opacity)


def label_picture(labels: Labels, colours: Collection[str]) -> str:
    """Every class in its colour, the background black."""
    return data_uri(labels, _palette(BLACK, *colours))


def error_picture(predicted: Labels, target: Labels) -> str:
    """Errors in three colours by kind, correct tissue grey, correct background black."""
    conditions = [
        (target > 0) & (predicted == 0),
        (target == 0) & (predicted > 0),
        predicted != target,
        target > 0,
    ]
    codes = np.select(conditions, [1, 2, 3, 4], default=0).astype(np.uint8)
    return data_uri(codes, _palette(BLACK, *ERROR_COLOURS.values(), GREY))


def mask_picture(mask: Bool[np.ndarray, " ky"], readout: int) -> str:
    """Acquired phase-encoding lines white; `readout` is the number of samples along each."""
    lines = np.repeat(mask.astype(np.uint8)[:, None], readout, axis=1)
    return data_uri(lines, _palette(BLACK, WHITE))


def _palette(*colours: str) -> Palette:
    return np.array([rgb(colour) for colour in colours], dtype=np.uint8)


def data_uri(entries: UInt8[np.ndarray, "ky kx"], palette: Palette, **options: bytes) -> str:
    """Encode palette entries as a PNG, anterior up, inside a data URI."""
    picture = Image.fromarray(np.ascontiguousarray(entries.T[::-1]))
    picture.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
