"""Multi-class attention: a segmentation tells the next reconstruction where each tissue is."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spinforge.models.seranet.consistency import ImagePair, data_consistency
from spinforge.models.seranet.measurement import Measurement


def attend_to_classes(
    logits: Float[Tensor, "batch classes ky kx"], image: Float[Tensor, "batch channel ky kx"]
) -> Float[Tensor, "batch classes*channel ky kx"]:
    r"""One copy of the image per class, weighted with the probability of that class.

    $\hat{x} = \bigoplus_i p_i \circ x$ with $p$ the softmax of the logits, in single precision at
    least. The copies sum to the image.

    Args:
        logits: Before the softmax, (batch, classes, ky, kx).
        image: (batch, channel, ky, kx).

    Returns:
        (batch, classes * channel, ky, kx): all channels of the first class, then of the second.

    Source:
        Huang et al., "Brain segmentation from k-space with end-to-end recurrent attention
        network" (MICCAI 2019), eq. 4.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probability = logits.softmax(dim=1)
    return (probability[:, :, None] * image[:, None]).flatten(1, 2)


class AttentionReconstruction(nn.Module):
    r"""From an image and its segmentation to an image that serves the next segmentation better.

    $x_{t+1} = DC(x_t + AttReg(\hat{x}_t))$. The paper's eq. 5 has no $x_t +$; it is the natural
    identity here, as the copies of the image sum to it.

    Args:
        block: Regularisation block from `n_classes` times two channels to two.
        residual: Add the block's output to the image; else it is the new image.
        trust: Of the measured lines; see `data_consistency`.

    Source:
        Huang et al. (MICCAI 2019), eqs. 4-5 and fig. 2c.
    """

    def __init__(self, block: nn.Module, *, residual: bool, trust: float) -> None:
        super().__init__()
        self.block = block
        self.residual = residual
        self.trust = trust

    def forward(
        self,
        image: ImagePair,
        logits: Float[Tensor, "batch classes ky kx"],
        measurement: Measurement,
    ) -> ImagePair:
        """The next image, same shape.

        Args:
            image: Real and imaginary part, (batch, 2, ky, kx).
            logits: Of its segmentation, (batch, classes, ky, kx).
            measurement: What the image must agree with.
        """
        change = self.block(attend_to_classes(logits, image))
        return data_consistency(
            image + change if self.residual else change, measurement, trust=self.trust
        )
