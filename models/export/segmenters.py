"""A network with all that comes before and after it: what is written to a file."""

from jaxtyping import Bool, Complex, Float32, UInt8
from torch import Tensor, nn

from spinforge.models.export.preprocessing import (
    Preprocessing,
    crop_to_image,
    divide_by,
    magnitude_99,
    pad_to_trained,
    windowed,
)
from spinforge.models.inference import labels_of, probabilities_of
from spinforge.models.seranet.consistency import complex_image, zero_filled_channels
from spinforge.models.seranet.measurement import KSpaceSegmentation, Measurement
from spinforge.simulation.reconstruction import intensity_scale

Segmentation = tuple[
    UInt8[Tensor, "*batch ky kx"],
    Float32[Tensor, "*batch classes ky kx"],
]
"""Labels, and the probability of each class (of the foreground, if that is the only one)."""


class ImageSegmenter(nn.Module):
    """Labels and probabilities of raw images, or of sequences of them.

    Args:
        network: From (batch, ..., channel, ky, kx) to logits likewise.
        preprocessing: What its images went through in training.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing

    def forward(
        self,
        image: Float32[Tensor, "*batch channel ky kx"],
        scale: Float32[Tensor, "*batch channel"] | None = None,
    ) -> Segmentation:
        """Segment a batch.

        Args:
            image: (batch, channel, ky, kx), or (batch, time, channel, ky, kx) for a sequence.
            scale: (batch, channel) or (batch, time, channel), for the scaling `volume` only; of CT
                that of the windowed values.

        Returns:
            Labels (batch, ..., ky, kx) and probabilities (batch, ..., classes, ky, kx).
        """
        if self.preprocessing.window is not None:
            image = windowed(image, self.preprocessing.window)
        if scale is not None:
            image = divide_by(image, scale)
        elif self.preprocessing.scaling == "slice":
            image = image / magnitude_99(image)
        logits = self._logits(image)
        return labels_of(logits), probabilities_of(logits)

    def _logits(self, image: Tensor) -> Tensor:
        """Of scaled images, padded meanwhile if they were in training."""
        if (size := self.preprocessing.padded_to) is None:
            logits: Tensor = self.network(image)
            return logits
        # Sequences are padded and cropped as one batch of their slices.
        slices = image.flatten(0, -4)
        padded = pad_to_trained(slices, size)
        logits = self.network(padded.reshape(*image.shape[:-2], *size))
        cropped = crop_to_image(logits.flatten(0, -4), slices)
        return cropped.reshape(*logits.shape[:-2], *image.shape[-2:])


class KSpaceSegmenter(nn.Module):
    """Labels and probabilities of acquired lines of k-space, at any gain.

    Args:
        network: From a `Measurement` to a `KSpaceSegmentation`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        kspace: Complex[Tensor, "batch coil ky kx"],
        mask: Bool[Tensor, "batch ky"],
        sensitivities: Complex[Tensor, "batch coil ky kx"] | None = None,
    ) -> Segmentation:
        """Segment a batch.

        Args:
            kspace: Centred and orthonormal, at any gain.
            mask: True where a line was acquired.
            sensitivities: Of several coils; None for one.

        Returns:
            Labels (batch, ky, kx) and probabilities (batch, classes, ky, kx).
        """
        raw = Measurement(kspace, mask, sensitivities)
        scale = intensity_scale(complex_image(zero_filled_channels(raw)))
        scaled = raw._replace(kspace=kspace / scale[:, None, None, None])
        segmentation: KSpaceSegmentation = self.network(scaled)
        logits = segmentation.logits[-1]
        return labels_of(logits), probabilities_of(logits)
