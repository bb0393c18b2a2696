"""BrainWeb's twenty normal anatomical models: find, check, decode.

Files are `subjectNN_crisp_v.mnc.gz` as BrainWeb serves them (MINC1, 0.5 mm, labels 0-11), or its
raw formats. Cite Aubert-Broche et al., NeuroImage 32:138 (2006) when you use them; BrainWeb
publishes no licence, so do not redistribute the voxels.
"""

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets import brainweb_labels
from spinforge.datasets.brainweb_files import SUFFIXES, files_digest, find_volume, open_volume
from spinforge.simulation.arrays import Memberships
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

SUBJECT_NUMBERS = (4, 5, 6, 18, 20, 38, *range(41, 55))
SUBJECTS = tuple(f"subject{number:02d}" for number in SUBJECT_NUMBERS)

SHAPE_ZYX = (362, 434, 362)

FUZZY_SUFFIXES = {
    Tissue.BACKGROUND: "bck",
    Tissue.CSF: "csf",
    Tissue.GREY_MATTER: "gry",
    Tissue.WHITE_MATTER: "wht",
    Tissue.FAT: "fat",
    Tissue.MUSCLE: "mus",
    Tissue.MUSCLE_SKIN: "m-s",
    Tissue.SKULL: "skl",
    Tissue.VESSELS: "ves",
    Tissue.AROUND_FAT: "fat2",
    Tissue.DURA: "dura",
    Tissue.MARROW: "mrw",
}
"""What BrainWeb calls the fuzzy volume of each tissue: subject04_csf, ..."""


def model_path(folder: Path, subject: str) -> Path:
    """Path of one subject's crisp model, in any of BrainWeb's formats.

    Raises:
        SpinforgeError: If the folder or the file is missing; says what was expected.
    """
    if not folder.is_dir():
        raise SpinforgeError(
            f"data.path: {folder} is not a folder. It must hold BrainWeb's crisp models "
            f"(subject04_crisp_v.mnc.gz, ...). Get them with: "
            f"spinforge download brainweb20 --to {folder}"
        )
    path = find_volume(folder, f"{subject}_crisp_v")
    if path is None:
        raise SpinforgeError(
            f"{folder / f'{subject}_crisp_v.mnc.gz'} is missing. Get it with: "
            f"spinforge download brainweb20 --subject {subject} --to {folder}"
        )
    return path


def subjects_in(folder: Path) -> list[str]:
    """Sorted subjects of the twenty whose crisp model lies in `folder`."""
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    suffix = "|".join(map(re.escape, SUFFIXES))
    found = {m[1] for name in names if (m := re.fullmatch(rf"(\w+)_crisp_v({suffix})", name))}
    return sorted(found & set(SUBJECTS))


def check_model(path: Path) -> None:
    """Read a crisp model's file to its end without decoding a voxel.

    Raises:
        SpinforgeError: If it is damaged or not on the 0.5 mm grid of the twenty.
    """
    open_volume(path, [SHAPE_ZYX])


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Decode a crisp model.

    Returns:
        (x, y, z) = (362, 434, 362) uint8 labels 0-11 at 0.5 mm, RAS order.

    Raises:
        SpinforgeError: If the file is not a crisp model of the twenty.
    """
    return brainweb_labels.read_labels(path, [SHAPE_ZYX], highest=max(HEAD_TISSUES))


def read_fraction(path: Path) -> NDArray[np.float32]:
    """Decode one tissue's fuzzy volume of one of the twenty.

    Returns:
        (x, y, z) = (362, 434, 362) float32 fractions at 0.5 mm, RAS order.

    Raises:
        SpinforgeError: If the file is not a fuzzy volume of the twenty.
    """
    return brainweb_labels.read_fraction(path, [SHAPE_ZYX])


def fuzzy_memberships(labels: NDArray[np.uint8]) -> Memberships:
    """Average 2 x 2 x 2 blocks of crisp labels into fuzzy memberships.

    Args:
        labels: (362, 434, 362) labels at 0.5 mm.

    Returns:
        (12, 180, 216, 180) float32 at 1 mm, multiples of 1/8. The last two voxels of each axis
        are dropped, as MRiLab's own BrainWeb object is cropped.
    """
    cropped = _cropped(labels)
    nx, ny, nz = (count // 2 for count in cropped.shape)
    memberships = np.empty((len(HEAD_TISSUES), nx, ny, nz), dtype=np.float32)
    for tissue in HEAD_TISSUES:
        inside = (cropped == tissue).view(np.uint8)
        along_x = inside[0::2] + inside[1::2]
        along_y = along_x[:, 0::2] + along_x[:, 1::2]
        memberships[tissue] = along_y[:, :, 0::2] + along_y[:, :, 1::2]
    memberships /= 8
    return torch.from_numpy(memberships)


def crisp_memberships(labels: NDArray[np.uint8]) -> Memberships:
    """Memberships of the crisp model on its own grid: 0 or 1.

    Args:
        labels: (362, 434, 362) labels at 0.5 mm.

    Returns:
        (12, 360, 432, 360) float16 at 0.5 mm.
    """
    cropped = _cropped(labels)
    memberships = torch.empty((len(HEAD_TISSUES), *cropped.shape), dtype=torch.float16)
    for tissue in HEAD_TISSUES:
        memberships[tissue] = torch.from_numpy(cropped == tissue)
    return memberships


def _cropped(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    nx, ny, nz = (2 * (count // 2 - 1) for count in labels.shape)
    return labels[:nx, :ny, :nz]


def load_brainweb20(folder: Path, subject: str, *, spacing_mm: float = 1.0) -> Phantom:
    """One of the twenty normal heads.

    Args:
        folder: Folder of the files.
        subject: Such as subject04.
        spacing_mm: 1 for fuzzy memberships, 0.5 for the crisp model itself.
    """
    if spacing_mm not in (0.5, 1.0):
        raise SpinforgeError(f"BrainWeb's voxels are 0.5 or 1 mm, not {spacing_mm:g}.")
    path = model_path(folder, subject)
    labels = read_labels(path)
    return Phantom(
        subject=subject,
        memberships=crisp_memberships(labels) if spacing_mm < 1 else fuzzy_memberships(labels),
        spacing_mm=spacing_mm,
        source="brainweb20",
        digest=files_digest([path]),
    )
