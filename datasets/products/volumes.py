"""Sets of labelled images: real collections, and our stand-ins for them, in the same arrays.

A subject's group holds each contrast (z, y, x), `label`, `object` (all that is not air; a bias
field lies in its bounding box) and for heads `brain` (all that is labelled). Heads are stored
whole: noise and bias belong to the whole head, the skull is stripped when slices are read.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped
from pydantic import Field, model_validator
from scipy import ndimage

from spinforge.datasets.products.product import Made, ProductSettings
from spinforge.datasets.products.slice_index import note_slice_settings, write_slice_index
from spinforge.datasets.slice_table import View, slice_areas
from spinforge.datasets.splits import Split, Subjects, split_subjects
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE, LabelledVolume, VolumeSource
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import RNG_SCHEME

SlicesAre = Literal["volume", "photographs"]

VOLUMES = "volumes-1"
"""Version of what is stored of a volume; whatever changes a stored byte changes it."""

DIMENSIONS = ("z", "y", "x")

_AIR = 0.1
"""Of the 99th percentile of a contrast, below which it shows air [1]."""

_SLICES_PER_CHUNK = 16
"""Two of three views need the whole volume anyway."""

_LARGEST_REAL = 8
"""How much larger than a stand-in a real volume may be, for the estimate of disk space."""


class VolumeProduct(ProductSettings):
    """What the settings of every set of images have in common.

    Attributes:
        classes: Names of the labels 0, 1, ...
        references: For each contrast the class whose signal is 100 % noise, or that signal itself
            in the units of the image times its scale.
        views: Along which slices are cut.
        stand_in_only: Settings without effect on real data, to be left out there.
        has_brain: Whether everything labelled is one brain, to be stripped of its skull.
        has_grey_channel: Whether networks take the grey of three colours beside these.
        slices_are: Slices of one "volume"; or "photographs": pictures that have nothing to do with
            each other, whose contrasts are the colours of one image.
    """

    path: UserPath | None = Field(
        None,
        description="folder of the real data in its official layout; by default our stand-ins",
    )
    subjects: Subjects = Subjects()

    classes: ClassVar[tuple[str, ...]]
    references: ClassVar[Mapping[str, str | float]]
    views: ClassVar[tuple[View, ...]] = ("axial",)
    stand_in_only: ClassVar[tuple[str, ...]] = ()
    has_brain: ClassVar[bool] = False
    has_grey_channel: ClassVar[bool] = False
    slices_are: ClassVar[SlicesAre] = "volume"

    @model_validator(mode="after")
    def _only_what_applies(self) -> "VolumeProduct":
        for name in self.stand_in_only if self.path is not None else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is for our stand-ins; leave it out where path is given")
        return self

    def recipe(self) -> dict[str, Any]:
        """What determines one subject's bytes: no path, nor which slices and subjects do what."""
        settings = self.model_dump(mode="json", exclude={"path", "subjects", "slices"})
        source = "stand-in" if self.path is None else "files"
        return settings | {"source": source, "volumes": VOLUMES, "rng_scheme": RNG_SCHEME}

    def slice_settings(self) -> dict[str, Any]:
        """What the study says of which slices are for what, as plain data."""
        return dict(self.model_dump(mode="json").get("slices", {}))

    def source(self) -> VolumeSource:
        """The collection: files below `path`, or our stand-ins."""
        raise NotImplementedError

    def choose(self) -> Split:
        """Names of the training, validation and test subjects."""
        return split_subjects(self.subjects, self.source().subjects())

    def prepared(self, volume: LabelledVolume) -> LabelledVolume:
        """What is stored of a volume, if not all of it as it is."""
        return volume

    def shape_zyx(self) -> tuple[int, int, int]:
        """Voxels of a stand-in."""
        raise NotImplementedError

    def slice_tables(self, areas: pd.DataFrame, split: Split) -> dict[str, pd.DataFrame]:
        """Which slices are for what, by the name of the rule; the study's own one first."""
        raise NotImplementedError


class VolumeMaker:
    """Stores the volumes of a set of images.

    Args:
        product: Its settings.
    """

    group = "images"

    def __init__(self, product: VolumeProduct) -> None:
        self._product = product
        self._source = product.source()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ..."""
        return self._product.classes

    def split(self) -> Split:
        """Names of the training, validation and test subjects."""
        return self._product.choose()

    def check_settings(self) -> None:
        """Nothing: settings of images do not depend on each other beyond what they check."""

    def check(self) -> None:
        """Look at every file that will be read.

        Raises:
            SpinforgeError: If the folder is not the collection's, or a file is missing or damaged.
        """
        for subject in self.split().everyone:
            self._source.check(subject)

    def pending_downloads(self) -> list[str]:
        """None: images are not downloaded."""
        return []

    def source_digest(self, subject: str) -> str:
        """Digest of the files, or of the generator and its arguments."""
        return self._source.digest(subject)

    def expected_bytes(self) -> int:
        """Contrasts, labels and masks, not compressed."""
        voxels = int(np.prod(self._product.shape_zyx()))
        per_voxel = 4 * len(self._product.references) + 3
        return voxels * per_voxel * (1 if self._product.path is None else _LARGEST_REAL)

    def make(self, subject: str) -> Made:
        """Read or simulate one subject.

        Raises:
            SpinforgeError: If it has no labels.
        """
        volume = self._product.prepared(self._source.load(subject))
        if volume.labels is None:
            raise SpinforgeError(f"{subject} has no labels: name labelled subjects only.")
        values = {**volume.contrasts, "label": volume.labels, "object": object_mask(volume)}
        if self._product.has_brain:
            # Cerebellum and brainstem, where they are not scored, are brain all the same.
            values["brain"] = volume.labels != 0
        arrays = {
            name: StoredArray(
                np.ascontiguousarray(array), DIMENSIONS, slices_per_chunk=_SLICES_PER_CHUNK
            )
            for name, array in values.items()
        }
        return Made(arrays, self._provenance(volume))

    def finish(self, store: DatasetStore) -> None:
        """Write which slices are for what: slices/index.parquet and splits/<rule>.json."""
        split = self.split()
        areas = [
            slice_areas(subject, store.read(subject, "label"), self._product.views)
            for subject in split.everyone
        ]
        tables = self._product.slice_tables(pd.concat(areas, ignore_index=True), split)
        write_slice_index(store, tables, split.everyone)
        note_slice_settings(store, self._product.slice_settings(), split)

    def _provenance(self, volume: LabelledVolume) -> dict[str, Any]:
        parameters = dict(volume.parameters)
        exact = parameters.pop("reference_signal", {})
        is_published = "collection" in parameters
        references = self._product.references
        return {
            "phantom": {
                "source": parameters.pop("source", "files"),
                "sha256": self._source.digest(volume.subject),
                "parameters": parameters.pop("anatomy", {}),
                **({"collection": parameters.pop("collection")} if is_published else {}),
            },
            "parameters": parameters,
            "contrasts": list(volume.contrasts),
            "grey_channel": self._product.has_grey_channel,
            "classes": list(self._product.classes),
            "ignore": IGNORE,
            "scale": {name: _scale(values) for name, values in volume.contrasts.items()},
            "reference": {name: references[name] for name in volume.contrasts},
            "reference_signal": {
                name: float(exact[name]) if name in exact else self._signal(volume, name)
                for name in volume.contrasts
            },
            "reference_signal_is": "exact" if exact else "median over the class",
            "slices_are": self._product.slices_are,
            "spacing_mm": [float(size) for size in volume.spacing_mm],
            "affine": volume.affine.tolist(),
            "orientation_verified": bool(parameters.get("orientation_verified", False)),
        }

    def _signal(self, volume: LabelledVolume, contrast: str) -> float:
        """What 100 % noise is in a contrast: median over the voxels of its reference class."""
        reference = self._product.references[contrast]
        if not isinstance(reference, str):
            return float(reference)
        code = self._product.classes.index(reference)
        inside = volume.contrasts[contrast][volume.labels == code]
        if not inside.size:
            raise SpinforgeError(
                f"{volume.subject} has no voxel of {reference}, whose signal noise refers to."
            )
        return float(np.median(inside)) * _scale(volume.contrasts[contrast])


def object_mask(volume: LabelledVolume) -> Bool[np.ndarray, "z y x"]:
    """Where a volume shows something: all that is labelled, and whatever is brighter than air.

    Brighter than a tenth of a contrast's 99th percentile, in the mean of a voxel and its
    neighbours so that noise does not count. Photographs have no air.
    """
    assert volume.labels is not None
    mask: Bool[np.ndarray, "z y x"] = volume.labels != 0
    for values in volume.contrasts.values():
        if values.dtype == np.uint8:
            return np.ones(mask.shape, dtype=np.bool_)
        smooth = ndimage.uniform_filter(values.astype(np.float32, copy=False), 3)
        mask |= smooth > _AIR * np.percentile(smooth, 99)
    return mask


def _scale(values: Shaped[np.ndarray, "z y x"]) -> float:
    """What a stored value is multiplied with: bytes stand for 0 to 1."""
    return 1 / 255 if values.dtype == np.uint8 else 1.0
