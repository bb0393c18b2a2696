"""Slices of any data set, and what networks made of them, as pictures for the report."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from spinforge.datasets.reading.cases import Case, scored_target
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.datasets.reading.photographs import GREY
from spinforge.evaluation.report.content import CaseImages, ExampleSlice, Magnitude

EXAMPLE_HEIGHTS = (0.3, 0.55, 0.75)
"""Of the slices that stand for the set, as fractions of the first volume's; through the cerebellum,
the ventricles and above them if it is a head."""

Slices = ZeroFilledSlices | ImageSlices | LongitudinalSlices

_KSPACE_AXES = (
    "Anterior is up. The first phase-encoding index is on the left of the picture: the patient's "
    "left in RAS order, which has not been verified for BrainWeb. Phase encoding runs from left to "
    "right."
)
_VOLUME_AXES = (
    "Axial slices have anterior up, the others the head; the patient's left is on the left where "
    "the set's orientation is verified."
)


class ShownSlices:
    """Pictures of the scored slices, turned as k-space slices lie: (ky, kx), kx upwards.

    Args:
        slices: The slices that were scored.
        predictions: Label maps of each network, one for each item of `slices`.
    """

    def __init__(
        self, slices: Slices, predictions: Mapping[str, UInt8[np.ndarray, "item *frame ky kx"]]
    ) -> None:
        self._slices, self._predictions = slices, predictions
        self._photographs = isinstance(slices, ImageSlices) and GREY in slices.contrasts
        self._places = {
            (case.volume, case.number): (position, case)
            for position in range(len(slices))
            for case in slices.cases(position)
        }

    @property
    def seen(self) -> str:
        """What the networks were shown, as the title of a picture."""
        if isinstance(self._slices, ZeroFilledSlices):
            return "Zero-filled image"
        return "Grey of the photograph" if self._photographs else f"Image, {self._channel_name}"

    @property
    def axes(self) -> str:
        """How the pictures lie, in a sentence or two."""
        if self._photographs:
            return "Photographs as they were taken."
        return _KSPACE_AXES if isinstance(self._slices, ZeroFilledSlices) else _VOLUME_AXES

    @property
    def _channel(self) -> int:
        return -1 if self._photographs else 0

    @property
    def _channel_name(self) -> str:
        assert not isinstance(self._slices, ZeroFilledSlices)
        return self._slices.contrasts[self._channel]

    def __call__(self, volume: str, number: int) -> CaseImages:
        """One slice with the truth and every network's labels.

        Args:
            volume: As `Case.volume`.
            number: Its place in the volume.

        Raises:
            KeyError: If no such slice was scored.
        """
        position, case = self._places[volume, number]
        item = self._slices[position]
        target, known = scored_target(item, case)
        found = {
            name: labels[position] if case.frame is None else labels[position, case.frame]
            for name, labels in self._predictions.items()
        }
        return CaseImages(
            image=self._image(item, case),
            target=self._turned(target),
            predictions={name: self._turned(labels * known) for name, labels in found.items()},
        )

    def examples(self) -> list[ExampleSlice]:
        """Three slices of the first volume."""
        first = next(iter(self._places))[0]
        numbers = [number for volume, number in self._places if volume == first]
        chosen = sorted({numbers[int(height * len(numbers))] for height in EXAMPLE_HEIGHTS})
        return [self._example(first, number) for number in chosen]

    def _example(self, volume: str, number: int) -> ExampleSlice:
        position, case = self._places[volume, number]
        item = self._slices[position]
        reference, mask = None, None
        if isinstance(self._slices, ZeroFilledSlices):
            reference = self._slices.fully_sampled(position).abs().numpy()
            mask = self._slices.line_mask(position).numpy()
        return ExampleSlice(
            image=self._image(item, case),
            target=self._turned(scored_target(item, case)[0]),
            reference=reference,
            mask=mask,
            caption=f"{volume}, slice {number}",
        )

    def _image(self, item: Mapping[str, Tensor], case: Case) -> Magnitude:
        """Magnitude of what the network saw, or one of its contrasts."""
        image = item["image"] if case.frame is None else item["image"][case.frame]
        if isinstance(self._slices, ZeroFilledSlices):
            return image.square().sum(0).sqrt().numpy()
        return np.ascontiguousarray(self._turned(image[self._channel].numpy()))

    def _turned(self, plane: np.ndarray) -> np.ndarray:
        if isinstance(self._slices, ZeroFilledSlices):
            return plane
        return plane[::-1].T if self._photographs else plane.T
