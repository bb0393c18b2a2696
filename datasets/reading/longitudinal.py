"""Sequences for a network that reads a subject's scans in the order of their ages."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from spinforge.datasets.products.infant import CONTRASTS, NOWHERE, session
from spinforge.datasets.reading.cases import Case
from spinforge.datasets.reading.network_input import (
    common_size,
    intensity_99,
    network_target,
    padded,
)
from spinforge.datasets.reading.slice_format import SliceFormat, image_planes
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES


class LongitudinalSlices(Dataset[dict[str, Any]]):
    """The slices of all ages at one height of one subject, as a sequence.

    A sequence has the images of every age, for the others help a recurrent network; only the
    labels of the ages asked for are shown. So a network trains on the sequences with the training
    ages' labels, and is tested on the same sequences with the labels of the test ages.

    Every volume is divided by the 99th percentile of its values.

    Args:
        path: The zarr store.
        subjects: Which subjects, in this order.
        ages_months: Ages whose labels are shown, such as `InfantProduct.train_ages_months`.
        variant: Group of a corrupted variant, such as "corrupt/noise/3", whose images are read.
        labels: "given" are those a study has; "truth" are the simulator's, to judge by.

    Raises:
        SpinforgeError: If the store or a subject is missing, no subject was scanned at one of the
            ages, or no slice of these ages has a label.
    """

    contrasts = CONTRASTS
    n_channels = len(CONTRASTS)
    n_classes = len(TARGET_NAMES)
    class_names = TARGET_NAMES

    def __init__(
        self,
        path: Path | str,
        subjects: tuple[str, ...],
        *,
        ages_months: tuple[int, ...],
        labels: Literal["given", "truth"] = "given",
        variant: str | None = None,
    ) -> None:
        store = DatasetStore(path, "longitudinal")
        shown = store if variant is None else store.within(variant)
        ages = [store.read(subject, "ages") for subject in subjects]
        if any(not np.array_equal(other, ages[0]) for other in ages):
            raise SpinforgeError(f"{path}: its subjects were not scanned at the same ages.")
        self.ages_months = tuple(int(age) for age in ages[0])
        if unknown := sorted(set(ages_months) - set(self.ages_months)):
            raise SpinforgeError(
                f"{path}: nobody was scanned at {unknown} months, but at {list(self.ages_months)}."
            )
        self._shown = np.isin(self.ages_months, ages_months)
        self._name = "label" if labels == "given" else "truth"
        self._subjects = subjects
        self._images: list[list[Any]] = []
        self._labels: list[list[Any]] = []
        self._slices: list[Any] = []
        for subject in subjects:
            self._read(store, shown, subject)
        self.index = [
            (number, int(position))
            for number in range(len(subjects))
            for position in self._positions(number)
        ]
        if not self.index:
            raise SpinforgeError(
                f"{path}: no slice at {sorted(ages_months)} months has a label. Choose other ages, "
                f'or labels="truth" to judge by what the simulator knows.'
            )
        self.size = common_size(image[0].shape[1:] for image in (i[0] for i in self._images))
        self.digest = shown.digest(list(subjects))
        z, y, x = (store.subject_attributes(subjects[0]) or {})["spacing_mm"]
        self._spacing_mm = (float(z), float(y), float(x))

    def _read(self, store: DatasetStore, shown: DatasetStore, subject: str) -> None:
        """Keep one subject's volumes, scaled; labels are the clean set's."""
        images, labels = [], []
        for age in self.ages_months:
            volumes = [shown.read(subject, f"{session(age)}/{name}") for name in CONTRASTS]
            images.append([volume / np.float32(intensity_99(volume)) for volume in volumes])
            labels.append(store.read(subject, f"{session(age)}/{self._name}"))
        self._images.append(images)
        self._labels.append(labels)
        self._slices.append(store.read(subject, "corresponding"))

    def _positions(self, number: int) -> np.ndarray:
        """Heights at which every age has a slice, and a labelled one if it has any label.

        Several heights of the last age may share one slice of a smaller head; asking this of all
        ages, shown or not, takes the height that was labelled and no neighbour.
        """
        slices = self._slices[number]
        usable = (slices != NOWHERE).all(1)
        is_shown = False
        for shown, label, column in zip(self._shown, self._labels[number], slices.T, strict=True):
            known = ((label != IGNORE) & (label > 0)).any((1, 2))
            if known.any():
                usable &= known[column]
                is_shown |= bool(shown)
        return np.flatnonzero(usable & is_shown)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def format(self) -> SliceFormat:
        """What these sequences look like, for the file of a network trained on them."""
        return SliceFormat(
            content="sequence",
            channels=CONTRASTS,
            scaling="volume",
            planes=image_planes(("axial",), self._spacing_mm),
            size=self.size,
            is_padded=True,
            class_names=self.class_names,
        )

    def cases(self, position: int) -> list[Case]:
        """The slices of the shown ages, each in a volume of its subject and age."""
        number, height = self.index[position]
        subject = self._subjects[number]
        # By the height, as two heights may share one slice of a smaller head.
        return [
            Case(f"{subject}/{age} months", height, self._spacing_mm[1:], frame)
            for frame, age in enumerate(self.ages_months)
            if self._shown[frame]
        ]

    def set_epoch(self, epoch: int) -> None:
        """Nothing changes between epochs."""

    def __getitem__(self, position: int) -> dict[str, Any]:
        """One sequence, padded in the plane to the common size of all subjects.

        Returns:
            "image": (time, contrast, y, x) float32; "target": (time, y, x) int64 with
            `IGNORE_INDEX` in whole frames that are not shown or not labelled; "has_label": (time,)
            bool; "ages_months": (time,) float32; "subject" and "slice", that of the last age.
        """
        number, height = self.index[position]
        frames = self._slices[number][height]
        images = [
            [contrast[frame] for contrast in volumes]
            for volumes, frame in zip(self._images[number], frames, strict=True)
        ]
        target = network_target(self._target(number, frames))
        return {
            "image": torch.from_numpy(padded(np.asarray(images), self.size, value=0)),
            "target": target,
            "has_label": (target >= 0).flatten(1).any(1),
            "ages_months": torch.tensor(self.ages_months, dtype=torch.float32),
            "subject": self._subjects[number],
            "slice": height,
        }

    def _target(self, number: int, frames: np.ndarray) -> UInt8[Tensor, "time y x"]:
        """Stored codes of the shown frames, `IGNORE` elsewhere."""
        codes = np.stack(
            [label[frame] for label, frame in zip(self._labels[number], frames, strict=True)]
        )
        codes[~self._shown] = IGNORE
        return torch.from_numpy(padded(codes, self.size, value=IGNORE))
