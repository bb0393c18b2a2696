"""A scan from NIfTI files, one a contrast: any orientation, any voxel size."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spinforge.datasets.public.nifti import (
    Header,
    check_same_grid,
    read_header,
    read_image,
    read_labels,
)
from spinforge.datasets.scans.contrast_names import stem_of
from spinforge.datasets.scans.scan import ImageScan, Place
from spinforge.simulation.errors import SpinforgeError

NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr")

_OBLIQUE_DEGREES = 1.0
"""Below this nobody minds."""

_SAME_SIZE = 1e-3
"""Relative difference of voxel sizes that rounding in headers may leave."""

_MASK_HINT = "Save the mask with 0 outside of the brain and 1 inside."


def is_nifti(path: Path) -> bool:
    """Whether a file's name says that it is one."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti_scan(contrasts: Mapping[str, Path], *, brain: Path | None = None) -> ImageScan:
    """Read one scan; voxels only after all headers are found to fit.

    Files that do not say how they are oriented are taken to lie as the first one that does; each
    is noted.

    Args:
        contrasts: Name -> file.
        brain: Mask of the brain: 0 outside, 1 inside.

    Returns:
        The scan, on the grid of the first file that says where it lies.

    Raises:
        SpinforgeError: If a file is missing, damaged or no volume, or two are not of one grid.
    """
    files = [*contrasts.values(), *([] if brain is None else [brain])]
    headers = [read_header(path) for path in files]
    place = next((header for header in headers if header.is_placed), headers[0])
    placed = [_placed_like(header, place) for header in headers]
    mask = None
    if brain is not None:
        mask = read_labels(placed[-1], {0: 0, 1: 1}, hint=_MASK_HINT).astype(np.bool_)
    return ImageScan(
        name=stem_of(files[0]),
        contrasts={n: read_image(header) for n, header in zip(contrasts, placed, strict=False)},
        place=Place(place.spacing_mm, place.affine, place),
        brain=mask,
        files=tuple(files),
        notes=_notes(headers, place),
    )


def _placed_like(header: Header, place: Header) -> Header:
    """A header on the grid of another, whose place it takes if it has none of its own."""
    if header.is_placed or header is place:
        check_same_grid(place, header)
        return header
    sizes = [np.linalg.norm(one.stored_affine[:3, :3], axis=0) for one in (header, place)]
    near = np.allclose(sizes[0], sizes[1], rtol=_SAME_SIZE, atol=0)
    if header.stored_shape != place.stored_shape or not near:
        mine, its = (" x ".join(f"{mm:.3g}" for mm in size) for size in sizes)
        raise SpinforgeError(
            f"{header.path} does not say how it is oriented, and cannot be taken to lie as "
            f"{place.path} does: as they are stored they have {header.stored_shape} and "
            f"{place.stored_shape} voxels of {mine} and {its} mm. Save it with its orientation."
        )
    return header.placed_like(place)


def _notes(headers: Sequence[Header], place: Header) -> tuple[str, ...]:
    notes = []
    if place.oblique_degrees > _OBLIQUE_DEGREES:
        notes.append(
            f"the axes are oblique by up to {place.oblique_degrees:.0f} degrees; slices follow "
            f"the file's own axes, each taken for the nearest of the body's"
        )
    unplaced = [header.path.name for header in headers if not header.is_placed]
    if unplaced and not place.is_placed:
        notes.append(
            f"{unplaced[0]} does not say how it is oriented; its axes were taken as right to left, "
            f"posterior to anterior, inferior to superior"
        )
        unplaced = unplaced[1:]
    notes += [
        f"{name} does not say how it is oriented; it was taken to lie as {place.path.name}"
        for name in unplaced
    ]
    return tuple(notes)
