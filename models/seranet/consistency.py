"""Data consistency: what was measured stays, whatever a network makes of the rest."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from spinforge.models.seranet.measurement import Measurement
from spinforge.simulation.arrays import ComplexImage
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.reconstruction import combine_coils, real_channels

ImagePair = Float[Tensor, "batch 2 ky kx"]
"""Real and imaginary part of a batch of images."""


def complex_image(channels: ImagePair) -> Complex[Tensor, "batch ky kx"]:
    """Undo `real_channels`, in single precision at least: there are no complex bfloat16."""
    channels = channels.to(torch.promote_types(channels.dtype, torch.float32))
    return torch.complex(channels[:, 0], channels[:, 1])


def zero_filled_channels(measurement: Measurement) -> ImagePair:
    """Zero-filled image $x^0 = F^{-1} y$, its coils combined.

    Args:
        measurement: Whose lines outside the mask may hold anything, also what is no number.

    Returns:
        (batch, 2, ky, kx); for several coils 0 where none is sensitive.
    """
    kspace, mask, sensitivities = measurement
    # Chosen, not multiplied with the mask: not even 0 times what is no number is 0.
    acquired = torch.where(mask[:, None, :, None], kspace, 0)
    return real_channels(_combined(kspace_to_image(acquired), sensitivities))


def data_consistency(
    image: ImagePair, measurement: Measurement, *, trust: float = 1.0
) -> ImagePair:
    r"""Replace the acquired lines of an image's k-space by the measured ones.

    One coil: $x' = F^{-1}(y + (1 - m) \circ Fx)$. With sensitivities $C_c$ of several coils, each
    coil's image $C_c x$ is treated so and the coils are combined for the best signal-to-noise
    ratio: one step of alternating projection between what was measured and what one image can
    explain. The measured lines are then approached step by step, not met at once; for $x$ and any
    image that explains them, the coil images come no further apart.

    For noisy data the acquired samples may be mixed instead, $(1 - t)\,Fx + t\,y$, with a trust t.

    Args:
        image: Estimate x.
        measurement: Acquired lines y and their mask m.
        trust: t, above 0 and up to 1; 1 takes y for exact. The noise level v in the code of
            Schlemper et al. is t / (1 - t).

    Returns:
        Same shape, in single precision at least. For several coils 0 where none is sensitive.

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), eq. 2; the trust as in Schlemper et al., "A deep cascade of
        convolutional neural networks for MR image reconstruction" (IPMI 2017). Several coils:
        Samsonov et al., "POCSENSE", Magn. Reson. Med. 52:1397 (2004); as a layer of a network
        Duan et al., "VS-Net" (MICCAI 2019).
    """
    kspace, mask, sensitivities = measurement
    estimate = complex_image(image)[:, None]
    if kspace.shape[1] > 1 and sensitivities is not None:
        estimate = sensitivities * estimate
    predicted = image_to_kspace(estimate)
    believed = (1 - trust) * predicted + trust * kspace
    filled = torch.where(mask[:, None, :, None], believed, predicted)
    return real_channels(_combined(kspace_to_image(filled), sensitivities))


def _combined(
    coil_images: Complex[Tensor, "batch coil ky kx"], sensitivities: Tensor | None
) -> ComplexImage:
    """One image of all coils; a single coil as it is."""
    if coil_images.shape[1] == 1 or sensitivities is None:
        return coil_images[:, 0]
    return combine_coils(coil_images, sensitivities)
