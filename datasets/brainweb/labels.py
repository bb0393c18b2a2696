"""What the numbers in BrainWeb's volumes mean: labels of crisp models, fractions of fuzzy ones."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.brainweb.files import LARGEST_SHORT, Shape, read_volume
from spinforge.simulation.arrays import Memberships
from spinforge.simulation.errors import SpinforgeError

_HIGHEST_OF_TWENTY = 11
# Type and largest code (that of marrow) of a stretched model -> what a label is multiplied by.
_STRETCHED = {("u2", 177): LARGEST_SHORT / 255, ("u1", 255): 255 / _HIGHEST_OF_TWENTY}
# Rounding of MINC's real-valued scaling; half a step off means that the file is no label map.
_LABEL_TOLERANCE = 0.01
# A step of 1 / 255 is the coarsest that fuzzy volumes are stored with.
_FRACTION_TOLERANCE = 0.5 / 255


def read_labels(path: Path, shapes: Sequence[Shape], *, highest: int) -> NDArray[np.uint8]:
    """Decode a crisp model.

    Raw files of the twenty subjects hold labels stretched to the whole range of their type;
    those of subject 0 and the MS models, and all MINC files, hold the labels themselves.

    Args:
        path: MINC or raw volume.
        shapes: Grids (z, y, x) it may have.
        highest: Largest label of the model.

    Returns:
        (x, y, z) uint8 labels, RAS order.

    Raises:
        SpinforgeError: If the file is no crisp model with labels 0 to `highest`.
    """
    values = read_volume(path, shapes)
    return checked_labels(path, unstretched(values), highest=highest).transpose(2, 1, 0).copy()


def unstretched(values: NDArray[Any]) -> NDArray[Any]:
    """Labels 0 to 11 from the codes of the twenty subjects' raw files; others as they are.

    The form's "raw short" is round(label * 4095 / 255), its "raw byte" round(label * 255 / 11);
    which one it is shows in the largest code, that of marrow.
    """
    if values.dtype.kind == "f":
        return values
    stretch = _STRETCHED.get((values.dtype.str[1:], int(values.max())))
    if stretch is None:
        return values
    labels = np.arange(_HIGHEST_OF_TWENTY + 1)
    codes = np.rint(labels * stretch).astype(int)
    # A code that stands for no label becomes 255, which is none either.
    table = np.full(codes[-1] + 1, 255, dtype=np.uint8)
    table[codes] = labels
    return table[values]


def checked_labels(path: Path, values: NDArray[Any], *, highest: int) -> NDArray[np.uint8]:
    """The values as uint8, if they are the labels of a model.

    Raises:
        SpinforgeError: If one is no label 0 to `highest`, or all are the same.
    """
    lowest, largest = float(values.min()), float(values.max())
    within = lowest >= -_LABEL_TOLERANCE and largest <= highest + _LABEL_TOLERANCE
    labels = np.rint(values).astype(np.uint8) if within else values
    if not within or (
        values.dtype.kind == "f" and not np.abs(values - labels).max() <= _LABEL_TOLERANCE
    ):
        raise SpinforgeError(
            f"{path} holds values {lowest:g} to {largest:g}, expected the integer labels 0 to "
            f"{highest}: it is not this crisp model (a fuzzy volume or another model, perhaps)."
        )
    if lowest == largest:
        raise SpinforgeError(
            f"{path} holds the label {lowest:g} only: there is no head in it. Delete it and "
            f"download it again."
        )
    return labels


def read_fraction(path: Path, shapes: Sequence[Shape]) -> NDArray[np.float32]:
    """Decode one fuzzy volume.

    MINC keeps the fraction itself. Raw files are stretched to 0 to 255 or 4095, some above a
    floor, so that their scale is right only for a tissue that somewhere fills a voxel.

    Args:
        path: MINC or raw volume.
        shapes: Grids (z, y, x) it may have.

    Returns:
        (x, y, z) float32 fractions, 0 to 1, RAS order.

    Raises:
        SpinforgeError: If the file is no fuzzy volume.
    """
    values = read_volume(path, shapes)
    lowest, largest = float(values.min()), float(values.max())
    if values.dtype.kind == "u":
        full = LARGEST_SHORT if values.dtype == np.uint16 else 255
        fraction = (values - values.min()).astype(np.float32) / np.float32(full)
    elif -_FRACTION_TOLERANCE <= lowest and largest <= 1 + _FRACTION_TOLERANCE:
        fraction = np.clip(values, 0, 1)
    else:
        raise SpinforgeError(
            f"{path} holds values {lowest:g} to {largest:g}, expected fractions 0 to 1: it is "
            f"no fuzzy volume."
        )
    return fraction.transpose(2, 1, 0).copy()


def summed_fractions(
    fractions: Iterable[tuple[int, NDArray[np.float32]]], n_tissues: int
) -> tuple[Memberships, dict[str, float]]:
    """Memberships from fuzzy volumes, scaled to sum to one in every voxel.

    Args:
        fractions: Place on the tissue axis and (x, y, z) fractions of each volume, held one at a
            time; several may go to one place. The first place is background.
        n_tissues: Length of the tissue axis.

    Returns:
        (tissue, x, y, z) float32, and how far from 1 the sum was before: rounding for MINC files,
        more for raw ones, which are stretched volume by volume.
    """
    memberships = torch.empty(0)
    for place, fraction in fractions:
        if not len(memberships):
            memberships = torch.zeros(n_tissues, *fraction.shape)
        memberships[place] += torch.from_numpy(fraction)
    total = memberships.sum(0)
    error = float((total - 1).abs_().max())
    # Nothing measured there: air.
    memberships[0].masked_fill_(total == 0, 1.0)
    memberships /= total.masked_fill_(total == 0, 1.0)
    return memberships, {"max_abs_sum_error": error}
