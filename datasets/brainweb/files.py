"""BrainWeb's volume files as arrays: MINC, raw bytes and raw shorts, compressed or not.

Whatever a file holds, reading ends soon and in bounded memory, with an array or a SpinforgeError.
"""

import hashlib
import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.brainweb.minc import DECODING_ERRORS, MINC1_MAGIC, open_minc
from spinforge.simulation.errors import SpinforgeError

Shape = tuple[int, int, int]

GZIP_MAGIC = b"\x1f\x8b"
HDF5_MAGIC = b"\x89HDF"
LARGEST_SHORT = 4095

_EXTENSIONS = (".mnc", ".rawb", ".raws")
SUFFIXES = tuple(extension + packed for extension in _EXTENSIONS for packed in (".gz", ""))
"""In order of preference: MINC alone keeps absolute values."""

_MEBIBYTE = 2**20
# Header, scalings and room to spare beside the voxels of a MINC file.
_MINC_HEADER = 16 * _MEBIBYTE
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r")
_MOST_MEMBERS = 10_000
# Small, because what follows the end of a gzip member within a block is handled again.
_BLOCK = 2**14


class WebPageError(SpinforgeError):
    """A page of text where data should be: the server does not have what was asked for."""


@runtime_checkable
class Planes(Protocol):
    """A volume whose planes are decoded one by one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""

    def __getitem__(self, plane: int) -> NDArray[Any]:
        """(y, x) values."""


def find_volume(folder: Path, *stems: str) -> Path | None:
    """File of a volume in any format, MINC first; `stems` are names it may go by."""
    candidates = (folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def open_volume(path: Path, shapes: Sequence[Shape]) -> Planes:
    """Read a volume's file and check that it is whole; planes are decoded when asked for.

    Args:
        path: A file with one of `SUFFIXES`.
        shapes: Grids (z, y, x) it may have.

    Returns:
        Planes of real values (MINC), or of the integers as they are stored: 0 to 255 in a .rawb,
        0 to 4095 in a .raws file.

    Raises:
        SpinforgeError: If it cannot be read, is damaged, too large, or on another grid.

    Source:
        BrainWeb, "About data download formats" (x varies fastest, then y, then z).
    """
    # A download is checked before it loses ".part".
    extension = path.name.removesuffix(".part").removesuffix(".gz").rpartition(".")[2]
    most = max(math.prod(shape) for shape in shapes)
    if extension == "mnc":
        # Two bytes a voxel: images are signed shorts.
        planes = _minc_planes(path, read_content(path, largest=2 * most + _MINC_HEADER))
        if planes.shape not in shapes:
            raise SpinforgeError(
                f"{path} has shape {planes.shape} (z, y, x), expected {_listed(shapes)}. "
                f"Use the volume that this name stands for in BrainWeb."
            )
        return planes
    bytes_a_voxel = {"rawb": 1, "raws": 2}.get(extension)
    if bytes_a_voxel is None:
        raise SpinforgeError(f"{path}: unknown format. Use one of {', '.join(SUFFIXES)}.")
    content = read_content(path, largest=bytes_a_voxel * most)
    fitting = [shape for shape in shapes if math.prod(shape) * bytes_a_voxel == len(content)]
    if not fitting:
        raise SpinforgeError(
            f"{path} holds {len(content)} bytes, expected {bytes_a_voxel} for each voxel of "
            f"{_listed(shapes)} (z, y, x): it is truncated, or another volume. Delete it and "
            f"download it again."
        )
    voxels = np.frombuffer(content, np.uint8) if bytes_a_voxel == 1 else _shorts(path, content)
    return voxels.reshape(fitting[0])


def read_volume(path: Path, shapes: Sequence[Shape]) -> NDArray[Any]:
    """Decode a whole volume.

    Returns:
        (z, y, x): float32 real values (MINC), uint8 (.rawb) or uint16 (.raws) as stored.

    Raises:
        SpinforgeError: As `open_volume`.
    """
    planes = open_volume(path, shapes)
    if isinstance(planes, np.ndarray):
        return planes
    values = np.empty(planes.shape, dtype=np.float32)
    try:
        # A float that is too large for its type is damage the caller's range check will find.
        with np.errstate(all="ignore"):
            for index in range(len(values)):
                values[index] = planes[index]
    except DECODING_ERRORS as error:
        raise _damaged(path, error) from error
    return values


def read_content(path: Path, *, largest: int) -> bytes:
    """Content of a file, unpacked if it is gzip.

    Args:
        path: The file.
        largest: Bytes after decompression that are accepted; no more are ever held.

    Raises:
        WebPageError: If it is a page of HTML.
        SpinforgeError: If it cannot be read, is damaged gzip, or larger than `largest`.
    """
    try:
        # Twice, because gzip adds a little to noise, and may be followed by junk.
        if path.stat().st_size > 2 * largest + _MEBIBYTE:
            raise _too_large(path, largest)
        raw = path.read_bytes()
    except OSError as error:
        raise SpinforgeError(f"{path} cannot be read: {error.strerror}.") from error
    content = _gunzip(path, raw, largest) if raw.startswith(GZIP_MAGIC) else raw
    if _is_page(content[:256]):
        raise WebPageError(f"{path} is a web page, not data. Delete it and download it again.")
    if len(content) > largest:
        raise _too_large(path, largest)
    return content


def files_digest(paths: Iterable[Path]) -> str:
    """SHA-256 of files as they lie on disk, one after the other.

    Raises:
        SpinforgeError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
        except OSError as error:
            raise SpinforgeError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _minc_planes(path: Path, content: bytes) -> Planes:
    if content.startswith(HDF5_MAGIC):
        raise SpinforgeError(
            f"{path} is MINC2 (HDF5), and only MINC1 is read. Convert it with MINC's own tool: "
            f"mincconvert {path.name} out.mnc"
        )
    if not content.startswith(MINC1_MAGIC):
        raise SpinforgeError(
            f"{path} is not a MINC1 file: it starts with {content[:4]!r}, not {MINC1_MAGIC!r}. "
            f"Delete it and download it again."
        )
    try:
        return open_minc(content)
    except DECODING_ERRORS as error:
        raise _damaged(path, error) from error


def _shorts(path: Path, content: bytes) -> NDArray[np.uint16]:
    """12-bit integers of either byte order.

    BrainWeb's page says big-endian, its server sent little-endian ones. The wrong order shows
    in values above 4095, or, where all are small (labels), in low bytes that are all zero.
    """
    values = np.frombuffer(content, "<u2")
    if values.max() > LARGEST_SHORT or not (values & 0xFF).any():
        values = np.frombuffer(content, ">u2")
    if values.max() > LARGEST_SHORT:
        raise SpinforgeError(
            f"{path} holds values above {LARGEST_SHORT} in either byte order: it is no volume of "
            f"BrainWeb's 12-bit shorts. Delete it and download it again."
        )
    return values.astype(np.uint16)


def _gunzip(path: Path, raw: bytes, largest: int) -> bytes:
    """Unpack every gzip member; what follows the last one and is no member is left out."""
    parts: list[bytes] = []
    total = position = members = 0
    while raw.startswith(GZIP_MAGIC, position):
        members += 1
        if members > _MOST_MEMBERS:
            raise _damaged(path, f"it has more than {_MOST_MEMBERS} gzip members")
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            block = raw[position : position + _BLOCK]
            position += len(block)
            if not block:
                raise _damaged(path, "it ends within its compressed data")
            while block and not member.eof:
                try:
                    parts.append(member.decompress(block, largest + 1 - total))
                except zlib.error as error:
                    raise _damaged(path, error) from error
                total += len(parts[-1])
                if total > largest:
                    raise _too_large(path, largest)
                block = member.unconsumed_tail
        position -= len(member.unused_data)
    return b"".join(parts)


def _is_page(head: bytes) -> bool:
    # Noisy voxels can begin like a tag, but not go on without control characters.
    return head.lstrip().startswith(b"<") and not _CONTROL.intersection(head)


def _damaged(path: Path, reason: object) -> SpinforgeError:
    return SpinforgeError(
        f"{path} is truncated or damaged ({reason}). Delete it and download it again."
    )


def _too_large(path: Path, largest: int) -> SpinforgeError:
    return SpinforgeError(
        f"{path} is not the volume its name says: it has more than {largest} bytes after "
        f"decompression. Delete it and download it again."
    )


def _listed(shapes: Sequence[Shape]) -> str:
    return " or ".join(map(str, shapes))
