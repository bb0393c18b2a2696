"""A user's own label maps as phantoms: one NIfTI file a subject, any orientation and voxel size."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinforge.datasets.brainweb.files import files_digest
from spinforge.datasets.public.nifti import Header, read_header, read_labels
from spinforge.datasets.tissue_names import tissue_codes
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.slices import FIELD_OF_VIEW_MM, matrix_size
from spinforge.simulation.tissue import Tissue

READER = "labels-1"
"""Version of the resampling; whatever changes a membership changes it."""

# Targets have these places in every phantom, whatever else it is made of.
_ALWAYS = (Tissue.BACKGROUND, Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
_ENDINGS = (".nii.gz", ".nii")

_SOUND: set[tuple[Path, int, int, str]] = set()
"""Files that this process has checked: path, time, size, and digest of what its values mean."""


class LabelMaps:
    """Label maps in a folder.

    Axes are turned to the nearest of right, anterior and superior; an oblique map is not
    resampled for that. What is not background is put into the middle of the field of view. A voxel
    of the phantom holds of each tissue the part of its volume that has this label, so maps finer
    than the phantom give partial volumes.

    Args:
        folder: Folder of .nii.gz or .nii files; a subject is named after its file.
        labels: Value in the files -> name of a tissue.
        spacing_mm: Voxel size of the phantoms [mm].
    """

    def __init__(self, folder: Path, labels: dict[int, str], *, spacing_mm: float) -> None:
        self._folder = folder
        self._codes = tissue_codes(labels)
        self._spacing_mm = spacing_mm

    def subjects(self) -> list[str]:
        """Every subject there is, sorted.

        Raises:
            SpinforgeError: If there is none, or two files would be one subject.
        """
        names = [_subject_of(path) for path in self._files()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SpinforgeError(f"data.path: {self._folder} has {twice[0]} as .nii and as .nii.gz")
        if not names:
            raise SpinforgeError(
                f"data.path: no label map in {self._folder}. Expected one file a subject, such as "
                f"{self._folder / 'subject01.nii.gz'}."
            )
        return sorted(names)

    def check(self, subject: str) -> None:
        """Read the file: values, and whether the head fits into the field of view.

        A file that was found sound is not read again while it stays as it is; one command checks
        before each of its parts.

        Raises:
            SpinforgeError: If it is damaged, has a value without tissue, or does not fit.
        """
        path = self._path(subject)
        state = path.stat()
        seen = (path.resolve(), state.st_mtime_ns, state.st_size, content_hash(self._meaning()))
        if seen not in _SOUND:
            self._placed(subject)
            _SOUND.add(seen)

    def _meaning(self) -> dict[str, int]:
        return {str(value): int(code) for value, code in self._codes.items()}

    def digest(self, subject: str) -> str:
        """Digest of the file, of what its values mean and of the phantom's voxels."""
        return content_hash(
            {
                "reader": READER,
                "file": files_digest([self._path(subject)]),
                "labels": {str(value): code for value, code in self._codes.items()},
                "spacing_mm": float(self._spacing_mm),
            }
        )

    def load(self, subject: str) -> Phantom:
        """Read a label map and average it over the voxels of the phantom.

        Raises:
            SpinforgeError: As `check`.
        """
        header, tissues_zyx, start_mm = self._placed(subject)
        present = {Tissue(int(code)) for code in np.unique(tissues_zyx)}
        tissues = (*_ALWAYS, *sorted(present - set(_ALWAYS)))
        spacing_xyz = header.spacing_mm[::-1]
        weights = [
            overlap_weights(*sizes, self._spacing_mm, target)
            for sizes, target in zip(
                zip(tissues_zyx.shape[::-1], spacing_xyz, start_mm, strict=True),
                matrix_size(self._spacing_mm),
                strict=True,
            )
        ]
        volume = torch.from_numpy(np.ascontiguousarray(tissues_zyx.transpose(2, 1, 0)))
        memberships = torch.zeros(len(tissues), *matrix_size(self._spacing_mm))
        # A tissue at a time: the map may be much finer than the phantom.
        for index, tissue in enumerate(tissues[1:], start=1):
            memberships[index] = box_average(volume == tissue, weights)
        memberships[0] = (1 - memberships[1:].sum(0)).clamp(0, 1)
        return Phantom(
            subject=subject,
            memberships=memberships,
            spacing_mm=self._spacing_mm,
            source="labels",
            digest=self.digest(subject),
            parameters=_parameters(header, start_mm),
            tissues=tissues,
        )

    def _placed(self, subject: str) -> tuple[Header, NDArray[np.uint8], tuple[float, ...]]:
        """Header, tissue codes (z, y, x), and where the map's x, y and z begin in the view [mm]."""
        path = self._path(subject)
        header = read_header(path)
        tissues = read_labels(
            header,
            self._codes,
            hint="Say in data.labels which tissue each other value is, such as {4: fat}.",
        )
        start = []
        for axis, (name, view, size) in enumerate(
            zip("xyz", FIELD_OF_VIEW_MM, header.spacing_mm[::-1], strict=True)
        ):
            others = tuple(a for a in range(3) if a != 2 - axis)
            inside = np.nonzero((tissues != Tissue.BACKGROUND).any(axis=others))[0]
            if not len(inside):
                raise SpinforgeError(f"{path} is background everywhere. Check data.labels.")
            extent = (int(inside[-1]) - int(inside[0]) + 1) * size
            if extent > view + 1e-6:
                raise SpinforgeError(
                    f"{path}: what is not background is {extent:.1f} mm long along {name}, but the "
                    f"field of view is {' x '.join(f'{mm:g}' for mm in FIELD_OF_VIEW_MM)} mm "
                    f"(x, y, z). Crop the map, for example below the chin."
                )
            # Whole steps, so that edges of voxels stay edges where the sizes allow it.
            step = min(size, self._spacing_mm)
            begin = np.floor((view - extent) / 2 / step + 1e-6) * step
            start.append(float(begin - int(inside[0]) * size))
        return header, tissues, tuple(start)

    def _path(self, subject: str) -> Path:
        for ending in _ENDINGS:
            if (path := self._folder / f"{subject}{ending}").is_file():
                return path
        raise SpinforgeError(f"data.path: {self._folder} has no {subject}.nii.gz or {subject}.nii")

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            raise SpinforgeError(f"data.path: {self._folder} is no folder")
        there = sorted(self._folder.iterdir())
        return [p for p in there if p.name.endswith(_ENDINGS) and not p.name.startswith(".")]


def _subject_of(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def overlap_weights(
    count: int, size_mm: float, start_mm: float, target_mm: float, target_count: int
) -> Tensor:
    """How much of each target voxel each source voxel covers, along one axis.

    Args:
        count: Number of source voxels.
        size_mm: Their size.
        start_mm: Where the first one begins; the first target voxel begins at 0.
        target_mm: Size of the target voxels.
        target_count: Number of target voxels.

    Returns:
        (target, source); rows inside the source sum to 1.
    """
    source = start_mm + size_mm * torch.arange(count + 1, dtype=torch.float64)
    target = target_mm * torch.arange(target_count + 1, dtype=torch.float64)
    upper = torch.minimum(source[None, 1:], target[1:, None])
    lower = torch.maximum(source[None, :-1], target[:-1, None])
    return ((upper - lower).clamp_min(0) / target_mm).float()


def box_average(inside: Tensor, weights: list[Tensor]) -> Tensor:
    """Fraction of each target voxel that is inside.

    Args:
        inside: (x, y, z) bool.
        weights: Of `overlap_weights`, along x, y and z.

    Returns:
        (x, y, z) float32 on the target grid.
    """
    # The first axis is averaged and put behind the others, three times. A target voxel overlaps
    # few source voxels, so the weights are sparse.
    values = inside.float()
    for weight in weights:
        _, *others = values.shape
        flat = torch.sparse.mm(weight.to_sparse(), values.reshape(len(values), -1))
        values = flat.reshape(-1, *others).permute(1, 2, 0).contiguous()
    return values


def _parameters(header: Header, start_mm: tuple[float, ...]) -> dict[str, Any]:
    """What is known of the map, and where the field of view lies in its world."""
    affine = header.affine
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    first_corner = affine[:3, 3] - affine[:3, :3] @ np.full(3, 0.5)
    return {
        "file": header.path.name,
        "stored_orientation": header.orientation,
        "stored_spacing_mm": list(header.spacing_mm[::-1]),
        "corner_mm": (first_corner - axes @ np.array(start_mm)).tolist(),
        "axes": axes.tolist(),
        "orientation_verified": header.is_placed,
    }
