"""BrainWeb's twenty normal anatomical models: find, check, decode.

Files are `subjectNN_crisp_v.mnc.gz` as BrainWeb serves them (MINC1, 0.5 mm, labels 0-11).
Cite Aubert-Broche et al., NeuroImage 32:138 (2006) when you use them; BrainWeb publishes no
licence, so do not redistribute the voxels.
"""

import gzip
import hashlib
import re
import struct
import zlib
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.simulation.arrays import Memberships
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.tissue import Tissue

SUBJECT_NUMBERS = (4, 5, 6, 18, 20, 38, *range(41, 55))
SUBJECTS = tuple(f"subject{number:02d}" for number in SUBJECT_NUMBERS)

MINC_SHAPE_ZYX = (362, 434, 362)
_MINC_VOXELS = int(np.prod(MINC_SHAPE_ZYX))
_MINC1_MAGIC = b"CDF\x01"
GZIP_MAGIC = b"\x1f\x8b"
# Voxels, header and room to spare; anything larger is not one of the twenty models.
LARGEST_MINC = _MINC_VOXELS + 16 * 2**20

# What nibabel raises, depending on which part of a file's header is nonsense.
_DECODING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)


def model_path(folder: Path, subject: str) -> Path:
    """Path of one subject's crisp model, compressed or not.

    Raises:
        SpinforgeError: If the folder or the file is missing; says what was expected.
    """
    if not folder.is_dir():
        raise SpinforgeError(
            f"data.path: {folder} is not a folder. It must hold BrainWeb's crisp models "
            f"(subject04_crisp_v.mnc.gz, ...). Get them with: "
            f"spinforge download brainweb20 --to {folder}"
        )
    for suffix in (".mnc.gz", ".mnc"):
        candidate = folder / f"{subject}_crisp_v{suffix}"
        if candidate.is_file():
            return candidate
    raise SpinforgeError(
        f"{folder / f'{subject}_crisp_v.mnc.gz'} is missing. Get it with: "
        f"spinforge download brainweb20 --subject {subject} --to {folder}"
    )


def subjects_in(folder: Path) -> list[str]:
    """Sorted subjects of the twenty whose crisp model lies in `folder`."""
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    found = {
        m[1] for name in names if (m := re.fullmatch(r"(subject\d\d)_crisp_v\.mnc(\.gz)?", name))
    }
    return sorted(found & set(SUBJECTS))


def read_model_bytes(path: Path) -> bytes:
    """Whole decompressed MINC file, checked for being one.

    Raises:
        SpinforgeError: If it is truncated, not gzip, too large, or not MINC1.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SpinforgeError(f"{path} cannot be read: {error.strerror}.") from error
    content = _gunzip(path, raw) if raw.startswith(GZIP_MAGIC) else raw
    if content.lstrip()[:1] == b"<":
        raise SpinforgeError(f"{path} is a web page, not data. Delete it and download it again.")
    if not content.startswith(_MINC1_MAGIC):
        raise SpinforgeError(
            f"{path} is not a MINC1 file: it starts with {content[:4]!r}, not {_MINC1_MAGIC!r}. "
            f"Expected BrainWeb's crisp model in MINC format."
        )
    if len(content) < _MINC_VOXELS:
        raise SpinforgeError(
            f"{path} is truncated: {len(content)} bytes after decompression, but its "
            f"{_MINC_VOXELS} voxels alone need more. Delete it and download it again."
        )
    return content


def _gunzip(path: Path, raw: bytes) -> bytes:
    try:
        with gzip.open(BytesIO(raw)) as stream:
            content = stream.read(LARGEST_MINC + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SpinforgeError(
            f"{path} is truncated or damaged ({error}). Delete it and download it again."
        ) from error
    if len(content) > LARGEST_MINC:
        raise SpinforgeError(
            f"{path} is not one of the twenty models: it has more than {LARGEST_MINC} bytes "
            f"after decompression."
        )
    return content


def open_model(path: Path) -> nibabel.minc1.Minc1Image:
    """Open a crisp model, checked to be whole and of the right shape; decodes no voxel yet.

    Raises:
        SpinforgeError: If it is not a 0.5 mm model of the twenty.
    """
    holder = nibabel.FileHolder(fileobj=BytesIO(read_model_bytes(path)))
    try:
        image = nibabel.minc1.Minc1Image.from_file_map({"image": holder})
        shape = image.shape
    except _DECODING_ERRORS as error:
        raise SpinforgeError(f"{path} cannot be read as MINC1: {error!r}") from error
    if shape != MINC_SHAPE_ZYX:
        raise SpinforgeError(
            f"{path} has shape {shape} (z, y, x), expected {MINC_SHAPE_ZYX}: it is not a "
            f"0.5 mm crisp model of the twenty normal subjects."
        )
    return image


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Decode a crisp model.

    Returns:
        (x, y, z) = (362, 434, 362) uint8 labels 0-11 at 0.5 mm, RAS order.

    Raises:
        SpinforgeError: If the file is not a crisp model of the twenty.
    """
    image = open_model(path)
    try:
        values = np.asarray(image.dataobj, dtype=np.float32)
    except _DECODING_ERRORS as error:
        raise SpinforgeError(f"{path} cannot be read as MINC1: {error!r}") from error
    labels = np.rint(values)
    # MINC stores labels with a real-valued scaling; half a step off means it is no label map.
    if np.abs(values - labels).max() > 0.01 or labels.min() < 0 or labels.max() > max(Tissue):
        raise SpinforgeError(
            f"{path} holds values {values.min():g} to {values.max():g}, expected the integer "
            f"labels 0 to {max(Tissue)}: it is not a crisp model (a fuzzy volume, perhaps)."
        )
    return np.ascontiguousarray(labels.astype(np.uint8).transpose(2, 1, 0))


def fuzzy_memberships(labels: NDArray[np.uint8]) -> Memberships:
    """Average 2 x 2 x 2 blocks of crisp labels into fuzzy memberships.

    Args:
        labels: (362, 434, 362) labels at 0.5 mm.

    Returns:
        (12, 180, 216, 180) float32 at 1 mm, multiples of 1/8. The last two voxels of each axis
        are dropped, as MRiLab's own BrainWeb object is cropped.
    """
    nx, ny, nz = (2 * (count // 2 - 1) for count in labels.shape)
    cropped = labels[:nx, :ny, :nz]
    memberships = np.empty((len(Tissue), nx // 2, ny // 2, nz // 2), dtype=np.float32)
    for tissue in Tissue:
        inside = (cropped == tissue).view(np.uint8)
        along_x = inside[0::2] + inside[1::2]
        along_y = along_x[:, 0::2] + along_x[:, 1::2]
        memberships[tissue] = along_y[:, :, 0::2] + along_y[:, :, 1::2]
    memberships /= 8
    return torch.from_numpy(memberships)


def file_digest(path: Path) -> str:
    """SHA-256 of the file as it lies on disk."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_brainweb20(folder: Path, subject: str) -> Phantom:
    """One of the twenty normal heads as a 1 mm phantom."""
    path = model_path(folder, subject)
    return Phantom(
        subject=subject,
        memberships=fuzzy_memberships(read_labels(path)),
        spacing_mm=1.0,
        source="brainweb20",
        digest=file_digest(path),
    )
