"""The arrays of one subject: how they are described, hashed and written."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, ZstdCodec

# Measured on noisy k-space: lz4 with bit shuffling is as small as zstd and many times faster.
# Label maps repeat whole bytes, where shuffling would only cost time.
_NUMBERS = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")
_LABELS = ZstdCodec(level=5)


@dataclass(frozen=True)
class StoredArray:
    """One array of a subject.

    Attributes:
        values: The data; the first axis is the slice.
        dimensions: Name of each axis.
        per_slice: Chunks of slices in one shard for the subject, instead of a single chunk.
        slices_per_chunk: How many slices are compressed, and read, together. It says how the
            bytes lie, never which they are: no digest depends on it.
    """

    values: NDArray[Any]
    dimensions: tuple[str, ...]
    per_slice: bool = True
    slices_per_chunk: int = 1


def array_digest(values: NDArray[Any]) -> str:
    """SHA-256 over type, shape and bytes of an array."""
    values = np.ascontiguousarray(values)
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape} ".encode())
    digest.update(values.data)
    return digest.hexdigest()


def check_arrays(arrays: dict[str, StoredArray]) -> None:
    """Check that the arrays of a subject can lie in one group and open as one xarray dataset.

    Raises:
        ValueError: If an axis has no name, or one name stands for axes of different lengths.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for name, array in arrays.items():
        shape = array.values.shape
        if len(shape) != len(array.dimensions):
            raise ValueError(f"array {name!r}: axes {shape}, but names {array.dimensions}")
        for axis, length in zip(array.dimensions, shape, strict=True):
            known, where = lengths.setdefault(axis, (length, name))
            if known != length:
                raise ValueError(
                    f"axis {axis!r} has length {known} in array {where!r} and {length} in "
                    f"{name!r}; give the axes different names"
                )


def write_array(
    group: zarr.Group, name: str, array: StoredArray, slices_per_chunk: int | None = None
) -> None:
    """Write one array: chunks of slices in one shard, or a single chunk.

    Args:
        group: The subject's group.
        name: Name of the array in it.
        array: What to write.
        slices_per_chunk: Instead of the array's own; more than there are means all.

    Raises:
        ValueError: If there is no slice in a chunk, or the array would be more than one file.
    """
    values = array.values
    wanted = array.slices_per_chunk if slices_per_chunk is None else slices_per_chunk
    chunk, shard = _chunks(array, wanted)
    is_label = values.dtype.kind in "ub"
    written = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunk,
        shards=shard,
        compressors=_LABELS if is_label else _NUMBERS,
        dimension_names=array.dimensions,
    )
    # Writers of parts of one shard destroy each other's slices without any error. So a subject
    # is one shard, written at once.
    one_file = written.shards or written.chunks
    if any(held < there for held, there in zip(one_file, values.shape, strict=True)):
        raise ValueError(f"array {name!r}: {values.shape} does not fit in one file of {one_file}")
    written[...] = values


def _chunks(array: StoredArray, slices: int) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Shape of a chunk and of the shard; a shard holds whole chunks, the last padded."""
    whole = tuple(max(1, length) for length in array.values.shape)
    if slices < 1:
        raise ValueError(f"a chunk needs at least one slice, got {slices}")
    if not array.per_slice or not whole:
        return whole, None
    slices = min(slices, whole[0])
    padded = -(-whole[0] // slices) * slices
    return (slices, *whole[1:]), (padded, *whole[1:])
