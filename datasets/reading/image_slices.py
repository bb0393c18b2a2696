"""Slices of stored images for a network: any view, any split, clean or corrupted."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.utils.data import Dataset

from spinforge.datasets.products.slice_index import read_slice_index
from spinforge.datasets.reading.cases import Case
from spinforge.datasets.reading.network_input import (
    MULTIPLE,
    common_size,
    intensity_99,
    network_target,
    padded,
)
from spinforge.datasets.reading.photographs import COLOURS, GREY, with_grey
from spinforge.datasets.reading.slice_format import SliceFormat, image_planes, window_of
from spinforge.datasets.slice_table import VIEW_AXIS, View
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError


class ImageSlices(Dataset[dict[str, Any]]):
    """The slices of one group of a set of images, the volumes in memory.

    Each contrast is a channel, divided by the 99th percentile of its clean volume; so a corrupted
    image meets the network with the brightness that the scanner would have given it. Photographs
    are 0 to 1 as they are, and get a grey channel ("grey") behind their colours.
    Slices of all views and subjects are padded to one size, with `IGNORE_INDEX` in the target, so
    that they fit into one batch.

    Args:
        path: The zarr store.
        group: Which slices of the set's slice index.
        contrasts: Channels, in this order; all of the set's by default.
        variant: Group of a corrupted variant, such as "corrupt/noise/3": its images are read
            instead, with the labels of the clean set.
        brain_only: Set what is not brain to 0, by the set's own `brain` mask.
        multiple: The size is a multiple of this [pixel].

    Raises:
        SpinforgeError: If the store, the slice index, a contrast or the mask is missing, or the
            group has no slice.
    """

    def __init__(
        self,
        path: Path | str,
        group: Literal["train", "validation", "test"],
        *,
        contrasts: tuple[str, ...] | None = None,
        variant: str | None = None,
        brain_only: bool = False,
        multiple: int = MULTIPLE,
    ) -> None:
        store = DatasetStore(path, "images")
        shown = store if variant is None else store.within(variant)
        table = read_slice_index(store)
        rows = table[table["split"] == group]
        if rows.empty:
            raise SpinforgeError(f"{path}: its slice index has no {group} slices.")
        self.index: list[tuple[str, View, int]] = [
            (str(subject), view, int(index))
            for subject, view, index in zip(
                rows["subject"], rows["view"], rows["index"], strict=True
            )
        ]
        self.subjects = tuple(dict.fromkeys(subject for subject, _, _ in self.index))
        store.open_subject(self.subjects[0])  # says so if it is not there
        attributes = store.subject_attributes(self.subjects[0]) or {}
        self._scale = attributes["scale"] if attributes.get("grey_channel") else None
        available = (*attributes["contrasts"], *(() if self._scale is None else (GREY,)))
        self.contrasts = tuple(available if contrasts is None else contrasts)
        if unknown := sorted(set(self.contrasts) - set(available)):
            raise SpinforgeError(
                f"{path} has no contrast {', '.join(unknown)}; it has {', '.join(available)}."
            )
        self.class_names = tuple(attributes["classes"])
        self.n_channels, self.n_classes = len(self.contrasts), len(self.class_names)
        z, y, x = (float(extent) for extent in attributes["spacing_mm"])
        self._spacing_mm = (z, y, x)
        self._brain_only = brain_only
        self._photographs = attributes.get("slices_are") == "photographs"
        self._window = window_of(attributes)
        self._volumes = {s: self._load(store, shown, s, brain_only) for s in self.subjects}
        self._labels = {s: store.read(s, "label") for s in self.subjects}
        one_of_each = {(subject, view): index for subject, view, index in self.index}
        self.size = common_size(
            (
                self._plane(self._labels[subject], view, index).shape
                for (subject, view), index in one_of_each.items()
            ),
            multiple,
        )
        self.digest = shown.digest(list(self.subjects))

    def _load(
        self, store: DatasetStore, shown: DatasetStore, subject: str, brain_only: bool
    ) -> Float[np.ndarray, "contrast z y x"]:
        """Scaled images of one subject."""
        if self._scale is not None:
            colours = {name: shown.read(subject, name) for name in COLOURS}
            channels = with_grey(colours, self._scale)
            stacked = np.stack([channels[name] for name in self.contrasts])
        else:
            stacked = np.stack(
                [self._scaled(store, shown, subject, name) for name in self.contrasts]
            )
        return stacked * store.read(subject, "brain") if brain_only else stacked

    @staticmethod
    def _scaled(
        store: DatasetStore, shown: DatasetStore, subject: str, name: str
    ) -> Float[np.ndarray, "z y x"]:
        """One contrast, divided by the clean volume's 99th percentile."""
        clean = store.read(subject, name).astype(np.float32)
        image = clean if shown is store else np.abs(shown.read(subject, name))
        return image.astype(np.float32) / np.float32(intensity_99(clean))

    @staticmethod
    def _plane(volume: np.ndarray, view: View, index: int) -> np.ndarray:
        """One slice of (..., z, y, x): axial (y, x), coronal (z, x) or sagittal (z, y)."""
        return volume.take(index, axis=volume.ndim - 3 + VIEW_AXIS[view])

    def __len__(self) -> int:
        return len(self.index)

    @property
    def format(self) -> SliceFormat:
        """What these slices look like, for the file of a network trained on them."""
        views = tuple(dict.fromkeys(view for _, view, _ in self.index))
        return SliceFormat(
            content="image",
            channels=self.contrasts,
            scaling="volume" if self._scale is None else "none",
            window=self._window,
            planes=() if self._photographs else image_planes(views, self._spacing_mm),
            size=self.size,
            is_padded=True,
            class_names=self.class_names,
            is_brain_only=self._brain_only,
        )

    def cases(self, position: int) -> list[Case]:
        """The slice itself, in a volume of its subject and view."""
        subject, view, index = self.index[position]
        row, column = (mm for axis, mm in enumerate(self._spacing_mm) if axis != VIEW_AXIS[view])
        slice_mm = None if self._photographs else self._spacing_mm[VIEW_AXIS[view]]
        return [Case(f"{subject}/{view}", index, (row, column), slice_mm=slice_mm)]

    def set_epoch(self, epoch: int) -> None:
        """Nothing changes between epochs."""

    def __getitem__(self, position: int) -> dict[str, Any]:
        """One slice.

        Returns:
            "image": (contrast, height, width) float32; "target": (height, width) int64;
            "subject", "view" and "slice".
        """
        subject, view, index = self.index[position]
        image = self._plane(self._volumes[subject], view, index)
        label: UInt8[np.ndarray, "h w"] = self._plane(self._labels[subject], view, index)
        return {
            "image": torch.from_numpy(padded(image, self.size, value=0)),
            "target": network_target(torch.from_numpy(padded(label, self.size, value=IGNORE))),
            "subject": subject,
            "view": view,
            "slice": index,
        }
