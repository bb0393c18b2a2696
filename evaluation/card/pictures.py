"""Slices of a data card as small PNG pictures with a palette, anterior up."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from spinforge.datasets.card.content import Picture, window_of
from spinforge.datasets.volumes import IGNORE
from spinforge.evaluation.report import colours
from spinforge.evaluation.report.pictures import Palette, data_uri

UNLABELLED = colours.GREY
_PHOTOGRAPH_COLOURS = 128


def picture_uri(picture: Picture, classes: tuple[str, ...], grey_levels: int) -> str:
    """PNG inside a data URI.

    Args:
        picture: The slice.
        classes: Names of the labels, for their colours.
        grey_levels: Shades of an image; noise hardly compresses, so few of them make a small file.
    """
    rows = picture.values[::-1] if picture.top_first else picture.values
    if picture.kind == "photograph":
        return _photograph_uri(rows)
    # The encoder takes (x, y), y from posterior to anterior, and puts anterior up.
    values = rows.T
    if picture.kind == "image":
        low, high = picture.window or window_of(picture.values)
        scaled = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
        levels = np.rint(scaled * (grey_levels - 1)).astype(np.uint8)
        grey = np.rint(np.linspace(0, 255, grey_levels)).astype(np.uint8)
        return data_uri(levels, np.repeat(grey[:, None], 3, axis=1))
    if picture.kind == "lines":
        return data_uri(values.astype(np.uint8), _palette(colours.BLACK, colours.WHITE))
    shown = [colours.BLACK, *colours.class_colours(classes).values()]
    codes = np.where(values == IGNORE, len(shown), np.minimum(values, len(shown) - 1))
    return data_uri(codes.astype(np.uint8), _palette(*shown, UNLABELLED))


def _photograph_uri(rows: UInt8[np.ndarray, "y x 3"]) -> str:
    """A photograph in the colours that suit it best."""
    few = Image.fromarray(np.ascontiguousarray(rows[::-1])).quantize(_PHOTOGRAPH_COLOURS)
    palette = np.array(few.getpalette(), dtype=np.uint8).reshape(-1, 3)
    return data_uri(np.ascontiguousarray(np.asarray(few)[::-1].T), palette)


def _palette(*names: str) -> Palette:
    return np.array([colours.rgb(name) for name in names], dtype=np.uint8)
