"""Slices for a network: zero-filled images and targets, from memory or from the store.

Four ways to the same slices. From memory (`ZeroFilledSlices`); from the memory of the device, in
whole batches (`device_resident.py`); from the compressed store, for sets that do not fit into
memory (`streaming.py`); or made anew each epoch (`simulated_slices.py`). The flows train from a
GPU's memory where there is one and the set fits into it, else from this machine's, else from the
store (`models/training/sources.py`).
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from spinforge.datasets.products.kspace import FIXED_MASK
from spinforge.datasets.reading.cases import Case
from spinforge.datasets.reading.fresh_noise import FreshNoise
from spinforge.datasets.reading.noise_on_read import (
    ReadNoise,
    add_noise,
    read_noise,
    stored_noise,
)
from spinforge.datasets.reading.slice_format import (
    COMPLEX_CHANNELS,
    KSPACE_AXES,
    Plane,
    SliceFormat,
)
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.arrays import CoilImages, CoilMaps, ComplexImage, Labels, LineMask
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled_combined
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import LineSampling, draw_line_mask
from spinforge.simulation.tissue import TARGET_NAMES

Content = Literal["image", "measurement", "kspace"]
"""What of a slice is shown."""


@dataclass(frozen=True)
class LineMasks:
    """The line mask of every slice, in any epoch.

    Attributes:
        index: Subject and number of each slice.
        stored: The set's own masks, (slice, ky).
        fresh: Kind of the masks drawn for each epoch; None for the stored ones in all of them.
        seed: Root seed of the fresh masks.
    """

    index: list[tuple[str, int]]
    stored: Bool[Tensor, "slice ky"]
    fresh: LineSampling | None
    seed: int

    def of(self, position: int, epoch: int) -> Bool[Tensor, " ky"]:
        """Acquired lines of one slice in one epoch."""
        if self.fresh is None:
            return self.stored[position]
        subject, number = self.index[position]
        path = ("training", subject, f"slice-{number:03d}", f"epoch-{epoch}", "mask")
        rng = SampleRng(self.seed, *path)
        return draw_line_mask(self.fresh, self.stored.shape[-1], rng)


class ZeroFilledSlices(Dataset[dict[str, Any]]):
    """Zero-filled slices of some subjects, the whole set in memory.

    Every item is scaled by the 99th percentile of its own magnitude, so that a network sees the
    same range at any noise level. Reading compressed shards once and keeping them beats
    streaming them by two orders of magnitude; 20 subjects take 400 MB.

    Args:
        path: The zarr store, a folder or URL.
        subjects: Which subjects, in this order.
        sampling: Kind of the line masks.
        masks: "fixed" takes the stored mask of each slice (validation and test); "fresh" draws
            one a slice and epoch, keyed by both.
        seed: Root seed of the fresh masks.
        noise: "stored" leaves a set's noise as it is; "fresh" takes it off, to rounding, and draws
            noise of the same level for each slice and epoch. It is that of `FreshNoise`.
        noise_on_read: Noise added to a set made without any: the bytes of a set made with it, or
            its level where the noise is fresh.
        variant: Group of a corrupted variant, such as "corrupt/motion/3", whose k-space is read
            instead of the clean one.
        content: "image" shows zero-filled images; "measurement" what networks take that start from
            k-space; "kspace" the fully sampled k-space and the labels as they are stored, for loops
            that do the rest themselves.

    Raises:
        SpinforgeError: If the store or a subject is missing, noise is asked for on top of noise, or
            fresh noise of a set that has none or of a corrupted variant.
    """

    n_channels = 2
    n_classes = len(TARGET_NAMES)
    class_names = TARGET_NAMES

    def __init__(
        self,
        path: Path | str,
        subjects: tuple[str, ...],
        *,
        sampling: LineSampling,
        masks: Literal["fixed", "fresh"],
        seed: int = 0,
        noise: Literal["stored", "fresh"] = "stored",
        noise_on_read: Noise | None = None,
        variant: str | None = None,
        content: Content = "image",
    ) -> None:
        self.path = path
        self.content: Content = content
        self._noise_on_read = noise_on_read
        store = DatasetStore(path)
        # Masks, maps and labels are the clean set's.
        self._shown = store if variant is None else store.within(variant)
        if variant is not None and noise_on_read is not None:
            raise SpinforgeError(
                f"{path}: noise is added to the clean set on reading, not to {variant}."
            )
        if variant is not None and noise == "fresh":
            raise SpinforgeError(
                f"{path}: {variant} is read with the noise it has, which cannot be told from what "
                f"else was done to it; only the clean set's can be drawn anew."
            )
        fixed = [store.read(subject, f"masks/{FIXED_MASK}") for subject in subjects]
        self.index = [
            (subject, number)
            for subject in subjects
            for number in range(len(store.read(subject, "te")))
        ]
        self.masks = LineMasks(
            self.index,
            torch.from_numpy(np.concatenate(fixed)),
            sampling if masks == "fresh" else None,
            seed,
        )
        self.seed = seed
        self._epoch = 0
        self.subjects = subjects
        self.digest = self._shown.digest(list(subjects))
        # Along z, y and x, which are slices, read-out and phase encoding.
        slice_mm, kx_mm, ky_mm = (store.subject_attributes(subjects[0]) or {})["spacing_mm"]
        self.pixel_mm, self._slice_mm = (float(ky_mm), float(kx_mm)), float(slice_mm)
        target: Any = store.open_subject(subjects[0])["target"]
        self._size = (int(target.shape[-2]), int(target.shape[-1]))
        self._noise: dict[str, ReadNoise] = {}
        self.fresh_noise: FreshNoise | None = None
        if noise == "fresh":
            self.fresh_noise = self._freshly(store)
        elif noise_on_read is not None:
            self._noise = {s: read_noise(store, s, noise_on_read) for s in subjects}
        self._open(store)

    def _freshly(self, store: DatasetStore) -> FreshNoise:
        """Noise that is drawn anew; what there is of the stored one is taken off on reading."""
        std, correlation = {}, 0.0
        for subject in self.subjects:
            stored = stored_noise(store, subject)
            if stored is not None:
                self._noise[subject] = stored.negated()
            if self._noise_on_read is not None:
                stored = read_noise(store, subject, self._noise_on_read)
            if stored is None:
                raise SpinforgeError(
                    f"{self.path} was made with data.noise.percent = 0: there is no noise to draw "
                    f"anew. Leave training.fresh at masks, or set training.augmentation"
                )
            std[subject], correlation = stored.std, stored.coil_correlation
        levels = torch.tensor([std[subject] for subject, _ in self.index])
        return FreshNoise(self.index, levels, correlation, self.seed)

    def _open(self, store: DatasetStore) -> None:
        """Load the arrays; where they come from is all that differs between kinds."""
        self._coil_maps = [
            torch.from_numpy(store.read(subject, "coil_maps")) for subject in self.subjects
        ]

        def stacked(name: str) -> NDArray[Any]:
            return np.concatenate([store.read(subject, name) for subject in self.subjects])

        kspace = [self._shown.read(subject, "full") for subject in self.subjects]
        for subject, slices in zip(self.subjects, kspace, strict=True):
            if subject in self._noise:
                add_noise(slices, self._noise[subject])
        self.kspace = torch.from_numpy(np.concatenate(kspace))
        self.target = torch.from_numpy(stacked("target"))

    @property
    def epoch(self) -> int:
        """The epoch whose masks are drawn."""
        return self._epoch

    def showing(self, content: Content) -> "ZeroFilledSlices":
        """The same slices with another content; the arrays are shared."""
        other = copy.copy(self)
        other.content = content
        return other

    def __len__(self) -> int:
        return len(self.index)

    @property
    def format(self) -> SliceFormat:
        """What these slices look like, for the file of a network trained on them.

        The share of acquired lines is that of the stored masks, which fresh ones resemble.
        """
        return SliceFormat(
            content="image" if self.content == "image" else "kspace",
            channels=COMPLEX_CHANNELS,
            scaling="slice",
            planes=(Plane(axes=KSPACE_AXES, pixel_mm=self.pixel_mm, slice_mm=self._slice_mm),),
            size=self._size,
            is_padded=False,
            class_names=self.class_names,
            acquired=float(self.masks.stored.double().mean()),
        )

    def cases(self, position: int) -> list[Case]:
        """The slice itself."""
        subject, number = self.index[position]
        return [Case(subject, number, self.pixel_mm, slice_mm=self._slice_mm)]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose masks are drawn."""
        self._epoch = epoch

    def line_mask(self, position: int) -> torch.Tensor:
        """Acquired lines of one slice in the current epoch, (ky,) bool."""
        return self.masks.of(position, self.epoch)

    def slice_kspace(self, position: int) -> CoilImages:
        """Fully sampled k-space of one slice, (coil, ky, kx); stored noise included, fresh not."""
        return self.kspace[position]

    def slice_target(self, position: int) -> Labels:
        """Labels of one slice, (ky, kx) uint8."""
        return self.target[position]

    def __getitem__(self, position: int) -> dict[str, Any]:
        """One slice.

        Returns:
            "image": (2, ky, kx) float32; "target": (ky, kx) int64; "subject" and "slice".
            For the content "measurement", in place of the image, "kspace": (coil, ky, kx)
            complex64 with all lines, divided by the scale of the zero-filled image; "mask": (ky,)
            bool, and of several coils "sensitivities": (coil, ky, kx) complex64.
            For the content "kspace" that as it is stored, and the target uint8.
        """
        subject, number = self.index[position]
        every_line = torch.ones(self.masks.stored.shape[-1], dtype=torch.bool)
        if self.content == "kspace":
            kspace, target = self._scanned(position, every_line), self.slice_target(position)
            return {"kspace": kspace, "target": target, "subject": subject, "slice": number}
        mask = self.line_mask(position)
        # A zero-filled image does not show the other lines.
        kspace = self._scanned(position, mask if self.content == "image" else every_line)
        image = self._combined(kspace, position, mask)
        scale = intensity_scale(image)
        shown = {"image": real_channels(image / scale)}
        if self.content == "measurement":
            shown = {"kspace": kspace / scale, "mask": mask}
            if len(kspace) > 1:  # the maps of a single coil are not used
                shown["sensitivities"] = self.coil_maps(position)
        target = self.slice_target(position).long()
        return {**shown, "target": target, "subject": subject, "slice": number}

    def scale(self, position: int) -> float:
        """What an item's image or measurement was divided by."""
        mask = self.line_mask(position)
        image = self._combined(self._scanned(position, mask), position, mask)
        return float(intensity_scale(image))

    def fully_sampled(self, position: int) -> torch.Tensor:
        """Complex image of one slice from all its lines, noise included, (ky, kx)."""
        every_line = torch.ones(self.masks.stored.shape[-1], dtype=torch.bool)
        return self._combined(self._scanned(position, every_line), position, every_line)

    def _scanned(self, position: int, lines: LineMask) -> CoilImages:
        """k-space of one slice, fresh noise on these lines included, (coil, ky, kx)."""
        kspace = self.slice_kspace(position)
        if self.fresh_noise is None:
            return kspace
        kspace = kspace.clone()
        self.fresh_noise.add(kspace[None], lines[None], [position], self.epoch)
        return kspace

    def _combined(self, kspace: CoilImages, position: int, mask: LineMask) -> ComplexImage:
        """Zero-filled image of one slice, (ky, kx)."""
        # The maps of a single coil are not used, so they need not be read.
        maps = self.coil_maps(position) if len(kspace) > 1 else kspace
        return zero_filled_combined(kspace, mask, maps)

    def coil_maps(self, position: int) -> torch.Tensor:
        """Receive sensitivities of one slice, (coil, ky, kx)."""
        subject, number = self.index[position]
        maps = self.subject_coil_maps(subject)
        return maps[number if len(maps) > 1 else 0]

    def subject_coil_maps(self, subject: str) -> CoilMaps:
        """Receive sensitivities of one subject, (slice or 1, coil, ky, kx)."""
        return self._coil_maps[self.subjects.index(subject)]


def slices_fingerprint(
    store: DatasetStore,
    subjects: tuple[str, ...],
    *,
    sampling: LineSampling,
    masks: Literal["fixed", "fresh"],
    seed: int = 0,
    noise_on_read: Noise | None = None,
) -> str:
    """Hash of what `ZeroFilledSlices` with these arguments would show; reads no array."""
    added = {} if noise_on_read is None else {"noise": noise_on_read.model_dump(mode="json")}
    return content_hash(
        {
            **added,
            "digest": store.digest(list(subjects)),
            "subjects": list(subjects),
            "sampling": sampling.model_dump(mode="json"),
            "masks": masks,
            "seed": seed,
        }
    )
