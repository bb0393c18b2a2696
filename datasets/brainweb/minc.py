"""MINC1 volumes, read by nibabel from content that may lack its last scalar or mean harm."""

import struct
from io import BytesIO

import nibabel
import numpy as np

MINC1_MAGIC = b"CDF\x01"

DECODING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
    nibabel.minc1.MincError,
)
"""What nibabel raises, depending on which part of a file is nonsense."""

# The largest scalar of NetCDF 3, a double.
_SCALAR = 8


def open_minc(content: bytes) -> nibabel.minc1.MincImageArrayProxy:
    """Parse a MINC1 file; its planes are decoded when asked for.

    Returns:
        Array-like (z, y, x) of float64 real values, each axis from left, posterior, inferior.

    Raises:
        DECODING_ERRORS: If it is damaged, or its axes are others.

    Source:
        MINC 1 programmer's guide; NetCDF classic format.
    """
    holder = nibabel.FileHolder(fileobj=_Content(content))
    with np.errstate(all="ignore"):
        image = nibabel.minc1.Minc1Image.from_file_map({"image": holder})
    axes = image.affine[:3, :3]
    if not ((axes != 0) == np.eye(3, dtype=bool)[::-1]).all() or (axes < 0).any():
        raise ValueError(
            f"its axes are not z, y, x from inferior, posterior, left: {axes.tolist()}"
        )
    return image.dataobj


class _Content(BytesIO):
    """Content that ends with zeros where its last scalar is missing, and cannot be read for ever.

    BrainWeb's fuzzy volumes declare a scalar without a meaning (`rootvariable`) behind the
    voxels and end before it, where nibabel gives up. At most one scalar is added, so that a
    truncated volume stays one. A header whose many variables all point to the same bytes would
    be copied once for each; reading everything twice, or in very many pieces, is what no honest
    file needs (BrainWeb's take some five hundred).
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._length = len(content)
        self._unread = 2 * len(content)
        self._pieces = 100_000
        self._scalars = 1

    def read(self, size: int | None = -1, /) -> bytes:
        at_end = self.tell() == self._length
        if at_end and size is not None and 0 < size <= _SCALAR and self._scalars:
            self._scalars -= 1
            return bytes(size)
        block = super().read(size)
        self._unread -= len(block)
        self._pieces -= 1
        if self._unread < 0:
            raise ValueError("its variables overlap")
        if self._pieces < 0:
            raise ValueError("its header has too many entries")
        return block
