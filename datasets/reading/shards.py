"""Single slices out of a shard, decoded by hand, which a general reader takes far longer for.

For arrays as `arrays.py` writes them: one shard, a chunk a slice, compressed by Blosc or Zstandard.
The shard's index, at its end, is read once; each slice is one `pread` and one decompression.

Content is not checked here, as its digest is that of the whole array: `DatasetStore.read` does.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import torch
from numcodecs import blosc, zstd
from numpy.typing import NDArray
from torch import Tensor

from spinforge.simulation.errors import SpinforgeError

_ABSENT = np.uint64(2**64 - 1)
"""What the index says of a chunk that holds nothing but the fill value."""

_CHECKSUM_BYTES = 4
_MAKE_AGAIN = (
    "`spinforge generate`, or `spinforge corrupt` if it lies below corrupt/, to make it again"
)
_TORCH_TYPES = {"<c8": torch.complex64, "<f4": torch.float32, "|u1": torch.uint8}
_DECODERS = {"blosc": blosc.decompress, "zstd": zstd.decompress}


class ShardReader:
    """The slices of one stored array.

    May be pickled into a worker process: each process opens the file for itself.

    Args:
        path: Folder of the array.

    Attributes:
        shape: Shape of the whole array.
        dtype: Its type.

    Raises:
        SpinforgeError: If there is no such array, or it is laid out differently or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            metadata = json.loads((path / "zarr.json").read_text())
            self.shape: tuple[int, ...] = tuple(metadata["shape"])
            self.dtype = np.dtype(metadata["data_type"])
            self._fill = metadata["fill_value"]
            self._decode = _decoder(metadata)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise SpinforgeError(
                f"{path} is no array of one shard with a chunk a slice ({error!r}); read it with "
                f"DatasetStore.read instead, or make the set again with: spinforge generate"
            ) from error
        self._file = path.joinpath("c", *["0"] * len(self.shape))
        self._descriptor: int | None = None
        self._index = self._read_index()

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_descriptor": None}

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:
            os.close(self._descriptor)  # type: ignore[arg-type]
            self._descriptor = None

    def read_into(self, values: NDArray[Any], number: int) -> None:
        """Decompress one slice into a contiguous array of its shape and type.

        Raises:
            SpinforgeError: If its bytes are missing or cannot be decompressed.
        """
        offset, count = self._index[number]
        if offset == _ABSENT:
            values[...] = 0 if isinstance(self._fill, list) else self._fill
            return
        try:
            packed = os.pread(self._open(), int(count), int(offset))
            self._decode(packed, values)
        except (OSError, RuntimeError, ValueError) as error:
            raise SpinforgeError(
                f"{self.path}: slice {number} is damaged ({error!r}). Delete the subject's folder "
                f"and run {_MAKE_AGAIN}."
            ) from error

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_RDONLY)
        return self._descriptor

    def _read_index(self) -> NDArray[np.uint64]:
        """Offset and length of every chunk, (slice, 2)."""
        if not self._file.exists():  # an array of zeros has no shard at all
            return np.full((len(self), 2), _ABSENT)
        size = 16 * len(self)
        start = self._file.stat().st_size - size - _CHECKSUM_BYTES
        tail = os.pread(self._open(), size + _CHECKSUM_BYTES, max(0, start))
        noted = int.from_bytes(tail[size:], "little")
        if start < 0 or google_crc32c.value(tail[:size]) != noted:
            raise SpinforgeError(
                f"{self._file} is damaged: the checksum of its index is wrong. Delete the "
                f"subject's folder and run {_MAKE_AGAIN}."
            )
        return np.frombuffer(tail[:size], dtype="<u8").reshape(-1, 2)


def _decoder(metadata: dict[str, Any]) -> Any:
    """The function that decompresses a chunk.

    Raises:
        ValueError: If the array is not laid out as `arrays.py` does it.
    """
    grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    (sharding,) = metadata["codecs"]
    inner = sharding["configuration"]
    names = [codec["name"] for codec in inner["codecs"]]
    is_ours = (
        sharding["name"] == "sharding_indexed"
        and grid == metadata["shape"]
        and inner["chunk_shape"] == [1, *metadata["shape"][1:]]
        and inner["index_location"] == "end"
        and [codec["name"] for codec in inner["index_codecs"]] == ["bytes", "crc32c"]
        and len(names) == 2
        and names[0] == "bytes"
        and names[1] in _DECODERS
    )
    if not is_ours:
        raise ValueError(f"chunks {grid}, codecs {names}")
    return _DECODERS[names[1]]


class SubjectShards:
    """The slices of one array of several subjects, counted through.

    Args:
        paths: Folder of each subject's array.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._readers = [ShardReader(path) for path in paths]
        counts = [len(reader) for reader in self._readers]
        self._places = [
            (reader, number)
            for reader, count in zip(self._readers, counts, strict=True)
            for number in range(count)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, positions: Sequence[int], *, shared: bool = False) -> Tensor:
        """Some slices, stacked.

        Args:
            positions: Which ones.
            shared: Decompress into memory shared with other processes, so that a worker need not
                copy what it sends.
        """
        first = self._readers[0]
        shape = (len(positions), *first.shape[1:])
        stacked = torch.empty(0, dtype=_TORCH_TYPES[first.dtype.str])
        if shared:
            # As PyTorch's own collating does.
            storage = stacked._typed_storage()._new_shared(math.prod(shape))
            stacked = stacked.new(storage)
        stacked = stacked.resize_(shape)
        for values, position in zip(stacked.numpy(), positions, strict=True):
            reader, number = self._places[position]
            reader.read_into(values, number)
        return stacked
