"""BrainWeb's twenty normal anatomical models: find, check, decode.

Files are `subjectNN_crisp_v.mnc.gz` as BrainWeb serves them (MINC1, 0.5 mm, labels 0-11), its
raw formats, or a fuzzy volume for each tissue, `subjectNN_csf_v.mnc.gz` and so on. Cite
Aubert-Broche et al., NeuroImage 32:138 (2006) when you use them; BrainWeb publishes no licence, so
do not redistribute the voxels.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.brainweb import labels as brainweb_labels
from spinforge.datasets.brainweb.files import SUFFIXES, files_digest, find_volume, open_volume
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


def fuzzy_paths(folder: Path, subject: str) -> list[Path]:
    """Path of each tissue's fuzzy volume, in any of BrainWeb's formats.

    Raises:
        SpinforgeError: If some are missing; names them.
    """
    found = {name: find_volume(folder, f"{subject}_{name}_v") for name in FUZZY_SUFFIXES.values()}
    if missing := [name for name, path in found.items() if path is None]:
        raise SpinforgeError(
            f"{folder} lacks {len(missing)} of the {len(found)} fuzzy volumes {subject}_*_v: "
            f"{', '.join(missing)}. Get them with: "
            f"spinforge download brainweb20 --fuzzy --subject {subject} --to {folder}"
        )
    return [path for path in found.values() if path is not None]


def subjects_in(folder: Path, *, fuzzy: bool = False) -> list[str]:
    """Sorted subjects of the twenty whose crisp model lies in `folder`.

    Args:
        folder: Where to look.
        fuzzy: Count those with any fuzzy volume too, so that what they lack is found missing.
    """
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    volumes = "|".join(map(re.escape, ("crisp", *(FUZZY_SUFFIXES.values() if fuzzy else ()))))
    suffix = "|".join(map(re.escape, SUFFIXES))
    matches = (re.fullmatch(rf"(subject\d+)_({volumes})_v({suffix})", name) for name in names)
    return sorted({m[1] for m in matches if m} & set(SUBJECTS))


def check_model(path: Path) -> None:
    """Read a volume's file to its end without decoding a voxel.

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
        memberships[tissue] = _sums_of_eight((cropped == tissue).view(np.uint8))
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


def memberships_of_fractions(
    paths: list[Path], spacing_mm: float
) -> tuple[Memberships, dict[str, float]]:
    """Memberships from a subject's fuzzy volumes.

    Args:
        paths: One volume for each of the twelve tissues.
        spacing_mm: 1 to average 2 x 2 x 2 blocks, 0.5 for the volumes' own voxels.

    Returns:
        (12, 180, 216, 180) float32 at 1 mm, or eight times as many at 0.5 mm: single precision,
        because half would round steps of 1/255 by up to 0.00024. The rest as `summed_fractions`.

    Raises:
        SpinforgeError: If a file is no fuzzy volume of the twenty.
    """

    def fraction(path: Path) -> NDArray[np.float32]:
        values: NDArray[np.float32] = _cropped(read_fraction(path))
        if spacing_mm < 1:
            return values
        sums: NDArray[np.float32] = _sums_of_eight(values)
        return sums / np.float32(8)

    tissues = zip(HEAD_TISSUES, paths, strict=True)
    return brainweb_labels.summed_fractions(
        ((int(tissue), fraction(path)) for tissue, path in tissues), len(HEAD_TISSUES)
    )


def _sums_of_eight(volume: NDArray[Any]) -> NDArray[Any]:
    """Sums of 2 x 2 x 2 blocks."""
    along_x = volume[0::2] + volume[1::2]
    along_y = along_x[:, 0::2] + along_x[:, 1::2]
    return along_y[:, :, 0::2] + along_y[:, :, 1::2]


def _cropped(volume: NDArray[Any]) -> NDArray[Any]:
    nx, ny, nz = (2 * (count // 2 - 1) for count in volume.shape)
    return volume[:nx, :ny, :nz]


def load_brainweb20(
    folder: Path, subject: str, *, fuzzy: bool = False, spacing_mm: float = 1.0
) -> Phantom:
    """One of the twenty normal heads.

    Args:
        folder: Folder of the files.
        subject: Such as subject04.
        fuzzy: Take the memberships from the fuzzy volumes, not from the crisp model.
        spacing_mm: 1 for averages of 2 x 2 x 2 voxels, 0.5 for the voxels themselves.

    Raises:
        SpinforgeError: If a file is missing, damaged or another volume.
    """
    if spacing_mm not in (0.5, 1.0):
        raise SpinforgeError(f"BrainWeb's voxels are 0.5 or 1 mm, not {spacing_mm:g}.")
    paths = model_paths(folder, subject, fuzzy=fuzzy)
    parameters: dict[str, float | str] = {}
    if fuzzy:
        memberships, sums = memberships_of_fractions(paths, spacing_mm)
        parameters = {"model": "fuzzy", **sums}
    else:
        labels = read_labels(paths[0])
        memberships = crisp_memberships(labels) if spacing_mm < 1 else fuzzy_memberships(labels)
    return Phantom(
        subject=subject,
        memberships=memberships,
        spacing_mm=spacing_mm,
        source="brainweb20",
        digest=files_digest(paths),
        parameters=parameters,
    )


def model_paths(folder: Path, subject: str, *, fuzzy: bool) -> list[Path]:
    """The crisp model, or all twelve fuzzy volumes.

    Raises:
        SpinforgeError: As `model_path` or `fuzzy_paths`.
    """
    return fuzzy_paths(folder, subject) if fuzzy else [model_path(folder, subject)]
