"""Clean subjects as the corruptions see them: what to change, its signal, brain and head.

Images are stored (z, y, x) and corrupted as (slice, ky, kx) = (z, x, y), so that the phase is
encoded left to right as in every k-space set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.corruption.corrupt import ImageCorruption, corrupt, corrupt_coils
from spinforge.simulation.corruption.photographs import corrupt_photographs
from spinforge.simulation.corruption.volume import SamplePath, Volume
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import DualEcho, GradientEcho, PulseSequence


class _How(TypedDict):
    """What both kinds of corruption are told."""

    couple_levels: bool
    first_position: int


History = list[dict[str, Any]]

PHOTOGRAPHS = "photographs"
"""What a subject notes as `slices_are` if each slice is a picture of its own, in colours."""

_AIR = 0.05
"""Signal that counts as the object where no mask says so, relative to the reference."""


@runtime_checkable
class Rescanner(Protocol):
    """A maker that can scan a subject again, with another sequence or scanner."""

    def clean_scans(self) -> dict[str, tuple[PulseSequence, Scanner]]:
        """Sequence and scanner of every contrast of the clean set."""

    def load_phantom(self, subject: str) -> Phantom:
        """What is scanned."""

    def rescan(
        self,
        phantom: Phantom,
        contrast: str,
        sequence: PulseSequence,
        scanner: Scanner,
        clean: dict[str, Any],
    ) -> dict[str, StoredArray]:
        """Simulate one contrast again.

        Args:
            phantom: Of `load_phantom`.
            contrast: Which.
            sequence: Instead of the clean one; it stands for the mean of all subjects, as that.
            scanner: Instead of the clean one.
            clean: Attributes of the clean subject; its noise is kept.

        Returns:
            The arrays that differ from the clean ones, the contrast's first of all.
        """


class CleanSubject:
    """A complete subject of a clean set.

    Args:
        store: The set, seen as its clean subjects.
        subject: Which.
        sequences: Of its contrasts, where they are simulated.

    Raises:
        SpinforgeError: If it is not in the set.
    """

    def __init__(
        self,
        store: DatasetStore,
        subject: str,
        sequences: Mapping[str, PulseSequence] = MappingProxyType({}),
    ) -> None:
        self._group = store.open_subject(subject)
        self._store = store
        self._sequences = sequences
        self._volumes: dict[str, Volume] = {}
        self.subject = subject
        self.attributes: dict[str, Any] = store.subject_attributes(subject) or {}

    @property
    def is_kspace(self) -> bool:
        """Whether it is k-space of coils, not images."""
        return self._store.group == "kspace"

    @property
    def is_photographs(self) -> bool:
        """Whether its slices are different pictures, and its contrasts their colours."""
        return bool(self.attributes.get("slices_are") == PHOTOGRAPHS)

    def drawn_as(self, contrast: str) -> str:
        """Whose random numbers a contrast has: its own, or those that all colours share."""
        return "colours" if self.is_photographs else contrast

    @cached_property
    def contrasts(self) -> list[str]:
        """Names of the arrays that are corrupted.

        Raises:
            SpinforgeError: If the set does not say which they are.
        """
        if self.is_kspace:
            return ["full"]
        if not self.attributes.get("reference_signal"):
            raise SpinforgeError(
                f"{self._store.subject_path(self.subject)} notes no reference_signal of its "
                f"contrasts, so nothing says what 100 % noise is. This set cannot be corrupted."
            )
        return sorted(self.attributes["reference_signal"])

    def stored_like(self, contrast: str, values: NDArray[Any]) -> StoredArray:
        """Values with the axes and chunks of a clean array."""
        array = self._array(contrast)
        return StoredArray(
            values, tuple(array.metadata.dimension_names), slices_per_chunk=array.chunks[0]
        )

    def nbytes(self) -> int:
        """Size of all its contrasts, uncompressed."""
        return sum(int(self._array(contrast).nbytes) for contrast in self.contrasts)

    def _array(self, name: str) -> Any:
        return self._group[name]

    def source(self) -> dict[str, Any]:
        """What a corrupted subject notes of the clean one."""
        return {
            "group": self._store.group,
            "config_hash": self.attributes["config_hash"],
            "content_sha256": self.attributes["content_sha256"],
            "sha256": {name: self.attributes["sha256"][name] for name in self.contrasts},
        }

    def read(self, name: str) -> NDArray[Any]:
        """One array."""
        return self._store.read(self.subject, name)

    def corrupted(
        self,
        contrast: str,
        values: NDArray[Any],
        chain: Sequence[ImageCorruption],
        path: SamplePath,
        *,
        couple_levels: bool,
        first_position: int,
    ) -> tuple[NDArray[Any], History]:
        """Corrupt one contrast; nothing to do leaves it as it is, to the bit.

        Args:
            contrast: Which.
            values: The array, clean or scanned again.
            chain: Corruptions of images.
            path: Of the random numbers.
            couple_levels: Whether all strengths draw the same ones.
            first_position: What came before them in the row.

        Returns:
            Array of the same type and shape; history of the corruptions.

        Raises:
            SpinforgeError: If a corruption does not go with this kind of image.
        """
        volume = self.volume(contrast)
        how = _How(couple_levels=couple_levels, first_position=first_position)
        if self.is_kspace:
            maps = torch.from_numpy(self.read("coil_maps"))
            coils = kspace_to_image(torch.from_numpy(values))
            coils, history = corrupt_coils(volume, coils, maps, chain, path, **how)
            changed = image_to_kspace(coils).numpy()
        else:
            apply = corrupt_photographs if self.is_photographs else corrupt
            done = apply(replace(volume, image=self._image(contrast, values)), chain, path, **how)
            changed = done.image.transpose(1, 2).contiguous().numpy() / self._scale(contrast)
            changed, history = _as_type(changed, values.dtype), done.history
        # There and back through k-space is not the same to the last bit.
        is_clean = all(corruption.is_nothing for corruption in chain)
        return values if is_clean else changed, history

    def volume(self, contrast: str) -> Volume:
        """One clean contrast, with what the corruptions need to know of it."""
        if contrast not in self._volumes:
            self._volumes[contrast] = self._volume(contrast)
        return self._volumes[contrast]

    def _volume(self, contrast: str) -> Volume:
        slice_mm, ky_mm, kx_mm = map(float, self.attributes["spacing_mm"])
        if self.is_kspace:
            image = torch.from_numpy(self.read("image_clean"))
        else:
            ky_mm, kx_mm = kx_mm, ky_mm
            image = self._image(contrast, self.read(contrast))
        reference = self._reference(contrast)
        brain, head = self._mask(contrast, "brain"), self._mask(contrast, "object")
        if brain is None:
            brain = self._labelled(contrast) if head is None else head
        if head is None:
            head = image.abs() > _AIR * (reference or float(image.abs().max()))
        return Volume(
            image=image,
            reference_signal=reference,
            brain=brain,
            head=head,
            voxel_mm=(slice_mm, ky_mm, kx_mm),
            contrast=self.known_as(contrast),
            is_photographs=self.is_photographs,
        )

    def _labelled(self, contrast: str) -> Tensor:
        """Where the tissues are; the truth, where what networks may know is only a part of it."""
        names = [_beside(contrast, name) for name in ("target", "truth", "label")]
        labels = self._in_plane(self.read(next(n for n in names if n in self._group)))
        return (labels > 0) & (labels != IGNORE)

    def _reference(self, contrast: str) -> float:
        """What 100 % noise is."""
        if not self.is_kspace:
            return float(self.attributes["reference_signal"][contrast])
        noted = self.attributes["scan"].get("reference_signal")
        return float(self.read("wm_signal")[0] if noted is None else noted)

    def _mask(self, contrast: str, name: str) -> Tensor | None:
        place = _beside(contrast, name)
        return self._in_plane(self.read(place)).bool() if place in self._group else None

    def _image(self, contrast: str, values: NDArray[Any]) -> Tensor:
        """Slices of an image in the units of its reference signal."""
        return self._in_plane(values.astype(np.float32)) * self._scale(contrast)

    def _scale(self, contrast: str) -> float:
        """What a stored value is multiplied with: bytes may stand for 0 to 1."""
        return float(self.attributes.get("scale", {}).get(contrast, 1.0))

    def _in_plane(self, values: NDArray[Any]) -> Tensor:
        """(slice, ky, kx): left-right is encoded by phase in images (z, y, x) as in k-space."""
        slices = torch.from_numpy(values)
        return slices if self.is_kspace else slices.transpose(1, 2).contiguous()

    def known_as(self, contrast: str) -> str:
        """T1, T2 or PD, for BrainWeb's fields; any other name has none."""
        if contrast in self._sequences:
            return contrast_of(self._sequences[contrast])
        return contrast.rpartition("/")[2].removesuffix("w")


def _beside(contrast: str, name: str) -> str:
    """An array in the same folder as a contrast, such as a session's."""
    folder, slash, _ = contrast.rpartition("/")
    return f"{folder}{slash}{name}"


def contrast_of(sequence: PulseSequence) -> str:
    """T1, T2 or PD where a sequence is one of BrainWeb's, else its own name."""
    if isinstance(sequence, GradientEcho):
        return "T1"
    if isinstance(sequence, DualEcho):
        return "PD" if sequence.echo == "early" else "T2"
    return sequence.kind


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Back to the source's type; whole numbers are rounded into their range."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype, copy=False)
