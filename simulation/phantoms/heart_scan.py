"""What a scanner does to the chest's bSSFP image: off-resonance, and the dark bands it makes."""

import math
from dataclasses import replace

import torch
from jaxtyping import Complex
from torch import Tensor

from spinforge.simulation.arrays import LabelVolume
from spinforge.simulation.off_resonance import (
    GYROMAGNETIC_RATIO_HZ_PER_T,
    susceptibility_field,
)
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.heart import BSSFP, CHEST_1P5T
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.tissue import FAT_TISSUES, Relaxation, Tissue

FIELD_T = 1.5
FAT_PPM = -3.5

AIR_IN_LUNG = 0.85
"""Share of a lung that is air: what its proton density leaves."""


def chest_field(phantom: Phantom, labels: LabelVolume) -> Volume:
    """Off-resonance that lungs and the air outside cause, after a linear shim over the heart.

    Args:
        phantom: Chest.
        labels: What `heart_labels` made of it.

    Returns:
        (x, y, z) float32 [Hz].
    """
    air = phantom.membership(Tissue.BACKGROUND) + AIR_IN_LUNG * phantom.membership(Tissue.LUNG)
    heart = (labels > 0).float() * (1 - air)
    # The field's calculation shims over the brain's tissues; here the heart stands for them.
    stand_in = replace(
        phantom,
        memberships=torch.stack((air, heart, 1 - air - heart)),
        tissues=(Tissue.BACKGROUND, Tissue.GREY_MATTER, Tissue.MUSCLE),
    )
    return susceptibility_field(stand_in, FIELD_T)


def banded_heart_image(phantom: Phantom, off_resonance_hz: Volume) -> Volume:
    """Noise-free bSSFP image at 1.5 T with the bands of off-resonance, (x, y, z).

    Fat precesses more slowly; where it shares a voxel with water, their signals may cancel.

    Args:
        phantom: Chest.
        off_resonance_hz: Of water, (x, y, z) [Hz].

    Returns:
        Magnitude in units of the proton density.
    """
    fat_hz = FAT_PPM * 1e-6 * GYROMAGNETIC_RATIO_HZ_PER_T * FIELD_T
    image = torch.zeros(off_resonance_hz.shape, dtype=torch.complex64)
    for tissue, membership in zip(phantom.tissues, phantom.memberships, strict=True):
        if CHEST_1P5T[tissue].proton_density == 0:
            continue
        shift = fat_hz if tissue in FAT_TISSUES else 0.0
        image += membership * balanced_ssfp_off_resonance(
            off_resonance_hz + shift,
            CHEST_1P5T[tissue],
            flip=math.radians(BSSFP.flip_deg),
            tr=BSSFP.tr,
        )
    return image.abs()


def balanced_ssfp_off_resonance(
    off_resonance_hz: Volume, relaxation: Relaxation, *, flip: float, tr: float
) -> Complex[Tensor, "x y z"]:
    r"""Balanced steady state at TE = TR / 2 with pulses of alternating sign.

    $S = \rho\,e^{-T_R/2T_2}\,e^{i(\theta-\pi)/2}\,
    \frac{(1-E_1)\sin\alpha\,(1-E_2e^{-i\theta})}
    {(1-E_1\cos\alpha)(1-E_2\cos\theta)-E_2(E_1-\cos\alpha)(E_2-\cos\theta)}$
    with $\theta = 2\pi f T_R + \pi$. The signal repeats, with its sign changed, every 1 / TR; in
    the middle between lie dark bands.

    Args:
        off_resonance_hz: Frequency f [Hz].
        relaxation: Of the tissue.
        flip: Flip angle [rad].
        tr: Repetition time [s].

    Returns:
        In units of the proton density.

    Source:
        Freeman and Hill, J Magn Reson 4:366 (1971).
    """
    e1, e2 = math.exp(-tr / relaxation.t1), math.exp(-tr / relaxation.t2)
    sine, cosine = math.sin(flip), math.cos(flip)
    theta = 2 * math.pi * tr * off_resonance_hz + math.pi
    cos_theta = torch.cos(theta)
    below = (1 - e1 * cosine) * (1 - e2 * cos_theta) - e2 * (e1 - cosine) * (e2 - cos_theta)
    turned = torch.polar(torch.ones_like(theta), -theta)
    to_echo = torch.polar(torch.ones_like(theta), (theta - math.pi) / 2)
    scale = relaxation.proton_density * math.exp(-tr / 2 / relaxation.t2) * (1 - e1) * sine
    return scale * to_echo * (1 - e2 * turned) / below
