"""Numeric arrays of MATLAB 5 files, with bounded memory.

scipy reads these files too, but unpacks whatever size a compressed element grows to, and its
reader of cells and structures recurses without limit; we need neither from a file of unknown
origin. Tests compare the two on arrays of every type.
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.brainweb.files import read_content
from spinforge.simulation.errors import SpinforgeError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Classes of arrays: double, single, then signed and unsigned integers of 8 to 64 bits.
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
_MOST_ELEMENTS = 10_000
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}


class _DamagedError(Exception):
    """What is wrong within the file; becomes a SpinforgeError that names it."""


def read_mat_array(path: Path, name: str, *, largest: int) -> NDArray[Any]:
    """Read one real numeric array of a MATLAB 5 file (`save -v6` or `-v7`).

    Args:
        path: The file.
        name: Name of the variable.
        largest: Bytes accepted after decompression.

    Returns:
        The array, Fortran order as MATLAB counts, in the type it is stored as.

    Raises:
        SpinforgeError: If the file is damaged, of another version, or has no such array.

    Source:
        MathWorks, "MAT-File Format", level 5.
    """
    content = read_content(path, largest=largest)
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if content.startswith(b"MATLAB 7.3") or order is None or content[:6] != b"MATLAB":
        raise SpinforgeError(
            f"{path} is no MATLAB 5 file: it starts with {content[:10]!r}. Save it in MATLAB "
            f"with -v7, or download it again."
        )
    found = []
    try:
        for kind, data in _elements(content[_HEADER:], order, largest):
            if kind == _MATRIX:
                variable, array = _matrix(data, order)
                if variable == name and array is not None:
                    return array
                found.append(variable)
    except (_DamagedError, zlib.error) as error:
        raise SpinforgeError(
            f"{path} is truncated or damaged ({error}). Delete it and download it again."
        ) from error
    raise SpinforgeError(
        f"{path} has no numeric array {name!r}; it holds {', '.join(found) or 'nothing'}."
    )


def _elements(content: bytes, order: str, largest: int) -> Iterator[tuple[int, bytes]]:
    """Kind and data of one element after the other, compressed ones unpacked."""
    position, left = 0, largest
    for _ in range(_MOST_ELEMENTS):
        if position >= len(content):
            return
        kind, data, position = _element(content, position, order)
        if kind == _COMPRESSED:
            unpacked = zlib.decompressobj()
            inner = unpacked.decompress(data, left + 1)
            left -= len(inner)
            if left < 0:
                raise _DamagedError(f"its compressed elements hold more than {largest} bytes")
            if not unpacked.eof:
                raise _DamagedError("a compressed element ends too early")
            kind, data, _ = _element(inner, 0, order)
        yield kind, data
    raise _DamagedError(f"it has more than {_MOST_ELEMENTS} elements")


def _element(content: bytes, position: int, order: str) -> tuple[int, bytes, int]:
    """Kind, data and the position after it, of the element at `position`."""
    kind, size = _integers(content[position : position + 8], order, 2)
    start = position + 8
    if kind >> 16:  # up to four bytes of data fit in the tag itself
        kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
        after = position + 8
    else:
        # Compressed elements alone are not padded to eight bytes.
        after = start + size + (0 if kind == _COMPRESSED else -size % 8)
    data = content[start : start + size]
    if len(data) < size:
        raise _DamagedError(f"an element of {size} bytes ends after {len(data)}")
    return kind, data, after


def _matrix(data: bytes, order: str) -> tuple[str, NDArray[Any] | None]:
    """Name and values of an array; None for one that is not numeric and real."""
    _, flags, position = _element(data, 0, order)
    class_and_flags = _integers(flags[:4], order, 1)[0]
    _, dimensions, position = _element(data, position, order)
    _, name, position = _element(data, position, order)
    variable = name.decode("latin1")
    if class_and_flags & 0xFF not in _NUMERIC_CLASSES or class_and_flags & _COMPLEX:
        return variable, None
    shape = _integers(dimensions, order, len(dimensions) // 4)
    kind, values, _ = _element(data, position, order)
    if kind not in _TYPES:
        raise _DamagedError(f"{variable!r} is stored as the unknown type {kind}")
    dtype = np.dtype(order + _TYPES[kind])
    if not 1 < len(shape) <= 32 or math.prod(shape) * dtype.itemsize != len(values):
        raise _DamagedError(f"{variable!r} claims the shape {shape}, but has {len(values)} bytes")
    array = np.frombuffer(values, dtype).reshape(shape, order="F")
    return variable, array.astype(dtype.newbyteorder("="))


def _integers(data: bytes, order: str, count: int) -> tuple[int, ...]:
    if len(data) < 4 * count:
        raise _DamagedError(f"it ends at a field of {4 * count} bytes")
    return tuple(np.frombuffer(data, order + "u4", count).tolist())
