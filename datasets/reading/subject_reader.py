"""One subject's arrays and provenance; behind corrupted images stands the clean set."""

import json
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

CORNER_MM = (-90.5, -126.5, -72.5)
"""Outer corner of every head's grid (x, y, z): BrainWeb's 1 mm grid starts at -90, -126, -72."""


class SubjectReader:
    """Arrays of a complete subject of any group.

    What a set of corrupted images does not hold itself (labels, coil maps, timing) is taken from
    the clean set it was made from.

    Args:
        store: A set, or a group of corrupted images in it.
        subject: Name of a complete subject.

    Raises:
        SpinforgeError: If the subject is not there.
    """

    def __init__(self, store: DatasetStore, subject: str) -> None:
        self.subject = subject
        self._store = store
        self.own = _names(store, subject)
        self.attributes = store.subject_attributes(subject) or {}
        self.set_attributes = store.attributes()
        self._stores = dict.fromkeys(self.own, store)
        clean = store.within(str(self.set_attributes["kind"]))
        if clean.group != store.group and clean.subject_attributes(subject) is not None:
            for name in _names(clean, subject):
                self._stores.setdefault(name, clean)
            self.attributes = (clean.subject_attributes(subject) or {}) | self.attributes

    @property
    def names(self) -> tuple[str, ...]:
        """All arrays that can be read, those of the clean set included."""
        return tuple(sorted(self._stores))

    def read(self, name: str) -> NDArray[Any]:
        """One whole array.

        Raises:
            SpinforgeError: If it is not there or damaged.
        """
        return self._stores.get(name, self._store).read(self.subject, name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, which is not read.

        Raises:
            SpinforgeError: If it is not there.
        """
        return tuple(self._array(name).shape)

    def read_slice(self, name: str, number: int) -> NDArray[Any]:
        """One entry of an array's first axis; quick, but damage goes unseen.

        Raises:
            SpinforgeError: If the array is not there.
        """
        return np.asarray(self._array(name)[number])

    def _array(self, name: str) -> Any:
        array = self._stores.get(name, self._store).open_subject(self.subject).get(name)
        if not isinstance(array, zarr.Array):
            raise SpinforgeError(f"{self._store.path}: {self.subject} has no array {name!r}")
        return array

    @property
    def config(self) -> dict[str, Any]:
        """What the set was made with, as plain data."""
        return dict(json.loads(self.set_attributes["config"]))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Size of a voxel along z, y and x [mm]."""
        z, y, x = (float(value) for value in self.attributes["spacing_mm"])
        return z, y, x

    @property
    def affine(self) -> NDArray[np.float64]:
        """From voxel (x, y, z) to millimetres (right, anterior, superior), 4 x 4.

        A subject may bring its own `affine`. Else the phantom's parameters may say where the first
        voxel's outer corner lies (`corner_mm`) and where x, y and z point (`axes`, columns); all
        our heads begin at `CORNER_MM` and point to right, anterior and superior. `box_zyx` says
        which voxels of that grid were stored.
        """
        if self.attributes.get("affine") is not None:
            return np.array(self.attributes["affine"], dtype=np.float64)
        parameters = self.attributes.get("phantom", {}).get("parameters") or {}
        spacing = np.array(self.spacing_mm[::-1])
        affine = np.eye(4)
        affine[:3, :3] = np.array(parameters.get("axes", np.eye(3))) * spacing
        corner = np.array(parameters.get("corner_mm", CORNER_MM))
        # Infants are stored in the box around their brains.
        box = self.attributes.get("box_zyx", [[0]] * 3)
        corner = corner + affine[:3, :3] @ np.array([first for first, *_ in box[::-1]])
        affine[:3, 3] = corner + affine[:3, :3] @ np.full(3, 0.5)
        return affine


def _names(store: DatasetStore, subject: str) -> tuple[str, ...]:
    store.open_subject(subject)  # complains if it is not there
    return tuple(sorted((store.subject_attributes(subject) or {})["sha256"]))
