"""Sets larger than memory as lazy Dask arrays: a block is what one subject's shard holds.

A subject's array is one shard, read and checked against its digest as a whole; smaller blocks
would read it several times. Nothing is read before `compute`, and then block by block.
"""

from pathlib import Path
from typing import Any

import dask.array as da
import zarr
from dask.base import tokenize
from numpy.typing import NDArray

from spinforge.datasets.corruption.sets import CorruptedStore
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError


def subject_array(store: DatasetStore, subject: str, name: str) -> da.Array:
    """One array of one subject, in one block.

    Raises:
        SpinforgeError: If subject or array is not in the set; when computed, if it is damaged.
    """
    clean = store.clean if isinstance(store, CorruptedStore) else store
    stored = store.open_subject(subject).get(name)
    if stored is None:  # what is not corrupted is that of the clean set
        stored = clean.open_subject(subject).get(name)
    if not isinstance(stored, zarr.Array):
        raise SpinforgeError(f"{store.subject_path(subject)} has no array {name!r}")
    place = store.path.absolute() if isinstance(store.path, Path) else store.path
    key = f"read-{tokenize(str(place), store.group, subject, name)}"
    task = (_read, place, store.group, clean.group, subject, name)
    block = (key, *([0] * stored.ndim))
    return da.Array({block: task}, key, [(n,) for n in stored.shape], dtype=stored.dtype)


def _read(place: Path | str, group: str, clean: str, subject: str, name: str) -> NDArray[Any]:
    """Runs where the block is computed; only these words are sent there."""
    store = DatasetStore(place, clean)
    if group != clean:
        store = CorruptedStore(store, *group.split("/")[1:])
    return store.read(subject, name)
