"""Dermoscopy images made of equations: a pigmented lesion on skin, and its outline.

A stand-in for ISIC 2017's first task. Colours come from the absorbance of two pigments, melanin
and haemoglobin, so that skin types and lesions have the colours skin can have. Lengths are in
units of the image's height / 192, so one subject can be had at any number of pixels.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor

from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.skin_artefacts import (
    RULER_PROBABILITY,
    Colours,
    draw_hair_count,
    illuminate,
    paint_bubbles,
    paint_hairs,
    paint_ruler,
)
from spinforge.simulation.phantoms.skin_fields import (
    Plane,
    Planes,
    draw_plane_fields,
    sample_plane,
)
from spinforge.simulation.rng import SampleRng

GENERATOR = "skin-1"
"""Version of the images; whatever changes a pixel changes it."""

UNITS = 192.0
LARGEST_ASPECT = 1.8
"""Width over height; the random fields reach no further."""

SMALLEST_AREA, LARGEST_AREA = 0.022, 0.58
"""Share of the image that lesions cover; pieces cut off may change it by a permille or two."""

# Absorbance per unit of pigment in red, green and blue light (620, 550, 460 nm), relative to
# melanin in red. Melanin falls as the wavelength to the power -3.33 (Jacques, Skin Optics, Oregon
# Medical Laser Center News, January 1998). Haemoglobin's are our choice: like its spectrum, strong
# in green, less so in blue and weak in red.
MELANIN = (1.0, 1.49, 2.70)
HAEMOGLOBIN = (0.12, 1.0, 0.75)
DERMIS = (0.94, 0.83, 0.78)
"""What skin without pigment would reflect of each colour: our choice [1]."""

GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601."""

TEN_TO_NINETY = 4.394
"""Width over which a logistic function of unit scale rises from 10 to 90 %: 2 ln 9."""


@dataclass(frozen=True)
class SkinImage:
    """One image and its segmentation.

    Attributes:
        subject: Name of the subject.
        image: Red, green and blue, 0 to 1, float32.
        mask: 1 in the lesion, else 0.
        digest: SHA-256 of the generator and what it was asked for.
        parameters: What was drawn, except the patterns.
    """

    subject: str
    image: Colours
    mask: UInt8[Tensor, "height width"]
    digest: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LesionLook:
    """What a lesion looks like.

    Attributes:
        area: Share of the image it covers [1].
        contrast: How much darker than its surroundings it is on average [1].
        softness: Width of its edge, from 10 to 90 % [units].
        raggedness: Amplitude of the field that frays its outline, as a share of its radius [1].
        network: Strength of the pigment network [1].
        globules: Strength of the globules [1].
        mottling: Strength of large patches [1].
        veil: Strength of a blue-white veil [1].
    """

    area: float
    contrast: float
    softness: float
    raggedness: float
    network: float
    globules: float
    mottling: float
    veil: float


def generate_skin(subject: str, *, seed: int, height: int = 192, width: int = 256) -> SkinImage:
    """Make the image of one subject's lesion.

    Args:
        subject: Name of the subject; every name is another lesion on another skin.
        seed: Seed of the data set.
        height: Number of pixels downwards.
        width: Number of pixels across.

    Returns:
        Image and mask, the same in any process.

    Raises:
        SpinforgeError: If the image is too small to show a lesion, or too wide.
    """
    if height < 16 or width < 16 or width > LARGEST_ASPECT * height:
        raise SpinforgeError(
            "height and width must be at least 16 pixels and width at most "
            f"{LARGEST_ASPECT} times height, got {height} x {width}"
        )
    y, x = _positions(height, width)
    fields = _draw_fields(seed, subject, y, x)
    rng = SampleRng(seed, "skin", subject, "lesion")
    look = draw_look(rng)
    mask = lesion_mask(y, x, fields[0], look, rng)
    inside = soft_edge(mask, look.softness * height / UNITS)
    skin_rng = SampleRng(seed, "skin", subject, "skin")
    image = _pigmented_skin(fields, inside, look, skin_rng)
    image, hairs = _photograph(image, y, x, seed, subject)
    return SkinImage(
        subject=subject,
        image=image,
        mask=mask.to(torch.uint8),
        digest=skin_digest(subject, seed=seed, height=height, width=width),
        parameters={**vars(look), "hairs": hairs},
    )


def skin_digest(subject: str, *, seed: int, height: int = 192, width: int = 256) -> str:
    """Digest of the image that `generate_skin` makes, without making it."""
    return content_hash(
        {
            "generator": GENERATOR,
            "seed": seed,
            "subject": subject,
            "height": height,
            "width": width,
        }
    )


def with_grey_channel(image: Colours) -> Float[Tensor, "4 height width"]:
    """Red, green, blue and their luma: the four channels the networks take."""
    weights = torch.tensor(GREY_WEIGHTS)
    return torch.cat((image, torch.einsum("c,chw->hw", weights, image)[None]))


def _positions(height: int, width: int) -> tuple[Plane, Plane]:
    """Distance of each pixel from the centre, downwards and to the right [units]."""
    step = UNITS / height
    y = (torch.arange(height, dtype=torch.float64) - (height - 1) / 2.0) * step
    x = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2.0) * step
    down, right = torch.meshgrid(y.float(), x.float(), indexing="ij")
    return down, right


def _draw_fields(seed: int, subject: str, y: Plane, x: Plane) -> Planes:
    """Frayed outline, melanin, blood, wrinkles, network, globules, patches, in this order."""
    bands = [(10.0, 50.0), (60.0, 200.0), (30.0, 120.0), (3.5, 8.0), (6.0, 9.0), (8.0, 14.0),
             (30.0, 110.0)]  # fmt: skip
    fields = draw_plane_fields(SampleRng(seed, "skin", subject, "fields"), bands)
    return sample_plane(fields, y, x)


def draw_look(rng: SampleRng) -> LesionLook:
    """Draw a lesion; its kind decides which pattern is strong."""
    kind = int(4 * rng.uniform(0.0, 1.0))
    return LesionLook(
        area=math.exp(rng.uniform(math.log(SMALLEST_AREA), math.log(LARGEST_AREA))),
        contrast=rng.uniform(0.05, 0.60),
        softness=rng.uniform(1.0, 12.0),
        raggedness=rng.uniform(0.02, 0.10),
        network=rng.uniform(0.35, 0.7) if kind in (0, 3) else rng.uniform(0.0, 0.15),
        globules=rng.uniform(0.4, 0.9) if kind in (1, 3) else rng.uniform(0.0, 0.2),
        mottling=rng.uniform(0.05, 0.35),
        veil=rng.uniform(0.2, 0.6) if rng.uniform(0.0, 1.0) < 0.2 else 0.0,
    )


def lesion_mask(y: Plane, x: Plane, fraying: Plane, look: LesionLook, rng: SampleRng) -> Tensor:
    r"""Star-shaped region of the wanted area with a frayed outline, in one piece without holes.

    Its radius is $r(\theta) = r_0\,(1 + \sum_{n=2}^{9} a_n \cos(n\theta + \varphi_n))$; a random
    field moves the outline, and $r_0$ follows from the area.

    Returns:
        (height, width) bool.
    """
    radius = UNITS * math.sqrt(look.area * float(x.max() / y.max()) / math.pi)
    away = max(0.0, 0.3 - 0.5 * look.area)
    centre_y = rng.uniform(-away, away) * UNITS
    centre_x = rng.uniform(-away, away) * UNITS
    theta = torch.atan2(y - centre_y, x - centre_x)
    outline = torch.ones_like(theta)
    amplitudes, phases = rng.normals(8), rng.uniforms(8) * 2.0 * np.pi
    for n, amplitude, phase in zip(range(2, 10), amplitudes, phases, strict=True):
        outline += 0.42 / n**1.25 * float(np.clip(amplitude, -2, 2)) * torch.cos(n * theta + phase)
    from_centre = torch.hypot(y - centre_y, x - centre_x)
    level = radius - from_centre / outline.clamp(min=0.35)
    level += look.raggedness * radius * fraying
    pixels = round(look.area * level.numel())
    threshold = level.flatten().kthvalue(level.numel() - pixels + 1).values
    mask = (level >= threshold).numpy()
    components, count = ndimage.label(mask)
    largest = np.bincount(components.ravel(), minlength=count + 1)[1:].argmax() + 1
    return torch.from_numpy(ndimage.binary_fill_holes(components == largest))


def soft_edge(mask: Tensor, width: float) -> Plane:
    """Rise from outside to inside as a logistic function of the distance to the outline.

    Args:
        mask: The region, (height, width) bool.
        width: Over which it rises from 10 to 90 % [pixels].
    """
    inwards = ndimage.distance_transform_edt(mask.numpy())
    outwards = ndimage.distance_transform_edt(~mask.numpy())
    # Half a pixel: the outline runs between the two nearest pixel centres.
    distance = torch.from_numpy(np.where(mask, inwards - 0.5, 0.5 - outwards)).float()
    return torch.sigmoid(distance * (TEN_TO_NINETY / width))


def reflectance(melanin: Plane, haemoglobin: Plane) -> Colours:
    r"""Colour of skin with these pigments: $R_c = D_c\,e^{-(m\,\mu_c + h\,\eta_c)}$."""
    channels = [
        dermis * torch.exp(-(melanin * absorbed_m + haemoglobin * absorbed_h))
        for dermis, absorbed_m, absorbed_h in zip(DERMIS, MELANIN, HAEMOGLOBIN, strict=True)
    ]
    return torch.stack(channels)


def _pigmented_skin(fields: Planes, inside: Plane, look: LesionLook, rng: SampleRng) -> Colours:
    """Skin with a lesion, before anything covers it."""
    _, pigment, blood, wrinkles, network, globules, patches = fields
    skin_melanin = rng.uniform(0.03, 0.22)
    skin_blood = rng.uniform(0.10, 0.35)
    extra = melanin_for_contrast(look.contrast, skin_melanin, skin_blood)
    mesh = torch.exp(-((network / 0.45) ** 2)) - 0.40
    dots = torch.sigmoid(6.0 * (globules - 1.0)) - 0.18
    pattern = 1.0 + look.network * mesh + look.globules * dots + look.mottling * patches
    melanin = skin_melanin * (1.0 + 0.12 * pigment) + extra * inside * pattern.clamp_(min=0.05)
    haemoglobin = skin_blood * (1.0 + 0.15 * blood + 0.5 * rng.uniform(0.0, 1.0) * inside)
    image = reflectance(melanin, haemoglobin)
    if look.veil > 0.0:
        veil = look.veil * inside * torch.sigmoid(3.0 * (patches - 0.4))
        image = image + veil * (torch.tensor([0.45, 0.52, 0.62]).view(3, 1, 1) - image)
    return image * (1.0 + rng.uniform(0.005, 0.025) * wrinkles)


def melanin_for_contrast(contrast: float, melanin: float, haemoglobin: float) -> float:
    """How much melanin makes skin darker by a share of its luma, by bisection."""

    def luma(extra: float) -> float:
        pigments = torch.tensor([[melanin + extra]]), torch.tensor([[haemoglobin]])
        return float(with_grey_channel(reflectance(*pigments))[3])

    goal, low, high = (1.0 - contrast) * luma(0.0), 0.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if luma(middle) > goal else (low, middle)
    return low


def _photograph(image: Colours, y: Plane, x: Plane, seed: int, subject: str) -> tuple[Colours, int]:
    """Cover the skin with what is in its way, light it, and add the camera's noise."""
    rng = SampleRng(seed, "skin", subject, "artefacts")
    hairs = draw_hair_count(rng)
    image = paint_hairs(image, y, x, hairs, rng)
    if rng.uniform(0.0, 1.0) < RULER_PROBABILITY:
        image = paint_ruler(image, y, x, rng)
    image = paint_bubbles(image, y, x, rng)
    image = illuminate(image, y, x, rng)
    noise = SampleRng(seed, "skin", subject, "noise").normals(*image.shape)
    image = image + rng.uniform(0.003, 0.012) * torch.from_numpy(noise).float()
    return image.clamp_(0.0, 1.0), hairs
