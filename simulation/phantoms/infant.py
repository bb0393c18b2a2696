"""The infant series: one procedural head as it grows and ripens through its first year.

The folding patterns, the warp and all other random fields of a subject are the same at every age;
its size, its cortex, its ventricles and the relaxation of its tissues are functions of age. So
anatomy corresponds exactly between ages, and labels are made anew, never warped.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.head import (
    GENERATOR as HEAD_GENERATOR,
)
from spinforge.simulation.phantoms.head import (
    HeadGrid,
    check_head_spacing,
    compose_head,
    grid_in_average_head,
)
from spinforge.simulation.phantoms.head_subject import (
    STEEPEST_WARP,
    WARP_WAVELENGTHS_MM,
    HeadSubject,
    draw_head_subject,
    in_average_head,
    warp_steepest_gradient,
)
from spinforge.simulation.phantoms.infant_growth import growth_at, infant_proportions
from spinforge.simulation.phantoms.infant_relaxation import (
    EARLIEST_MONTHS,
    infant_signals,
    relaxation_at,
)
from spinforge.simulation.phantoms.random_fields import RandomFields, Volume, draw_random_fields
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import Tissue

GENERATOR = "infant-1"
"""Version of the series, beside that of the head it is made of."""

OLDEST_MONTHS = 24.0

GROWTH_WARP_MM = 6.0
"""Amplitude of the deformation that growth undoes, per unit of volume still to be gained [mm]."""

THALAMUS_MM = (0.0, -17.0, 6.0)
PERIPHERY_MM = (68.0, 86.0, 68.0)
"""Where white matter ripens first, and the semi-axes of the ellipsoid where it ripens last."""

AGE_NODES = 200
"""Ages at which the signals of white matter are tabulated, 0.05 months apart."""

CLOSE_ENOUGH = 1e-3
MOST_ITERATIONS = 60
"""When a corresponding position is found [voxels], and when to leave it: 0.85^60 is 6e-5."""

Points = Float[Tensor, "3 x y z"]


@dataclass(frozen=True)
class InfantHead:
    """One subject at one age.

    Attributes:
        phantom: What each voxel consists of.
        age_months: Age, also that of grey matter [months].
        white_matter_age: How old the white matter of each voxel looks [months].
        anatomy: The subject at this age, in the frame of the average adult head.
        grid: The voxels in that frame.
    """

    phantom: Phantom
    age_months: float
    white_matter_age: Volume
    anatomy: HeadSubject
    grid: HeadGrid


@dataclass(frozen=True)
class RelaxationMaps:
    """Mean properties of the protons in each voxel.

    Attributes:
        t1: Longitudinal relaxation time, the inverse of the mean rate [s].
        t2: Transverse relaxation time, the inverse of the mean rate [s].
        proton_density: Relative proton density [1]; where it is 0, both times are 0.
    """

    t1: Volume
    t2: Volume
    proton_density: Volume


def generate_infant(
    subject: str, *, seed: int, age_months: float, spacing_mm: float = 1.0
) -> InfantHead:
    """Make the head of one infant at one age.

    Args:
        subject: Name of the subject; the same at all its ages.
        seed: Seed of the data set.
        age_months: Age from birth, 0 to 24 [months].
        spacing_mm: Edge length of the cubic voxels [mm].

    Returns:
        The head on BrainWeb's field of view, the same in any process.

    Raises:
        SpinforgeError: If the age or the voxel size is out of range.
    """
    _check_age(age_months)
    check_head_spacing(spacing_mm)
    growth = growth_at(age_months)
    anatomy = _infant(seed, subject, age_months)
    grid = grid_in_average_head(spacing_mm, size=growth.size)
    phantom = Phantom(
        subject=subject,
        memberships=compose_head(anatomy, grid),
        spacing_mm=spacing_mm,
        source="procedural infant",
        digest=infant_digest(subject, seed=seed, age_months=age_months, spacing_mm=spacing_mm),
        parameters={**anatomy.parameters, "age_months": age_months, "size": growth.size},
    )
    with one_thread():
        white_matter_age = apparent_age(in_average_head(anatomy, grid.axes()), age_months)
    return InfantHead(phantom, age_months, white_matter_age, anatomy, grid)


def infant_digest(subject: str, *, seed: int, age_months: float, spacing_mm: float = 1.0) -> str:
    """Digest of the phantom that `generate_infant` makes, without making it."""
    return content_hash(
        {
            "generator": f"{GENERATOR}/{HEAD_GENERATOR}",
            "seed": seed,
            "subject": subject,
            "age_months": float(age_months),
            "spacing_mm": float(spacing_mm),
        }
    )


def _check_age(age_months: float) -> None:
    if not 0.0 <= age_months <= OLDEST_MONTHS:
        raise SpinforgeError(
            f"age_months must be from 0 to {OLDEST_MONTHS:g}, where the growth curves hold, "
            f"got {age_months}"
        )


def _infant(seed: int, subject: str, age_months: float) -> HeadSubject:
    """The subject with the proportions and the additional warp of its age."""
    growth = growth_at(age_months)
    adult = draw_head_subject(seed, subject)
    rng = SampleRng(seed, "infant", subject, "growth warp")
    growing = draw_random_fields(rng, [WARP_WAVELENGTHS_MM] * 3)
    warp = RandomFields(
        values=adult.warp_amplitude_mm * adult.warp.values
        + GROWTH_WARP_MM * growth.distance * growing.values,
        step_mm=adult.warp.step_mm,
    )
    return replace(
        adult,
        proportions=infant_proportions(growth, adult.proportions),
        warp=warp,
        warp_amplitude_mm=min(1.0, STEEPEST_WARP / warp_steepest_gradient(warp, 1.0)),
    )


def apparent_age(block: Block, age_months: float) -> Volume:
    r"""How old white matter looks: what ripens late looks younger than its infant [months].

    $a(r) = a + 1.2 - \mathrm{clip}(-2.5 + 6\rho + 2(y - y_c)/90\,\mathrm{mm}, -3, 6)$, $\rho$ the
    distance from the thalamus in units of the brain's: the centre before the periphery, the back
    before the front.

    Args:
        block: Where the voxels lie in the average head.
        age_months: Age of the infant [months].
    """
    squared = torch.zeros_like(block.x)
    for points, centre, edge in zip(block.points, THALAMUS_MM, PERIPHERY_MM, strict=True):
        squared.add_(((points - centre) / edge).square_())
    delay = squared.sqrt_().mul_(6.0).sub_(2.5)
    delay.add_(block.y - THALAMUS_MM[1], alpha=2.0 / 90.0)
    return (age_months + 1.2 - delay.clamp_(-3.0, 6.0)).clamp_(min=EARLIEST_MONTHS)


def infant_images(head: InfantHead) -> Float[Tensor, "2 x y z"]:
    """Noise-free T1-weighted (MPRAGE) and T2-weighted (turbo spin echo) images at 3 T.

    Returns:
        Magnitudes in units of the proton density, (contrast, x, y, z).
    """
    images = torch.zeros((2, *head.phantom.memberships.shape[1:]))
    for tissue, fraction in zip(head.phantom.tissues, head.phantom.memberships, strict=True):
        for image, signal in zip(images, _signals(head, tissue), strict=True):
            image.addcmul_(fraction, signal)
    return images.abs_()


def _signals(head: InfantHead, tissue: Tissue) -> Tensor:
    """Both signals of one tissue: maps for white matter, else single numbers; float32."""
    age = _age(head, tissue)
    if age.ndim == 0:
        return infant_signals(tissue, age).float()
    nodes = torch.linspace(float(age.min()), float(age.max()), AGE_NODES, dtype=torch.float64)
    table = infant_signals(tissue, nodes)
    maps = [torch.from_numpy(np.interp(age, nodes, signals)) for signals in table]
    return torch.stack(maps).float()


def relaxation_maps(head: InfantHead) -> RelaxationMaps:
    """Mean T1, T2 and proton density of every voxel."""
    r1, r2, density = torch.zeros((3, *head.phantom.memberships.shape[1:]))
    for tissue, fraction in zip(head.phantom.tissues, head.phantom.memberships, strict=True):
        tissue_t1, tissue_t2, tissue_density = relaxation_at(tissue, _age(head, tissue))
        protons = fraction * tissue_density
        density.add_(protons)
        r1.add_(protons / tissue_t1)
        r2.add_(protons / tissue_t2)
    t1, t2 = (torch.where(density > 0, density / rate, 0.0) for rate in (r1, r2))
    return RelaxationMaps(t1, t2, density)


def _age(head: InfantHead, tissue: Tissue) -> Tensor:
    """How old a tissue looks: a map for white matter, else a single number [months]."""
    is_white = tissue == Tissue.WHITE_MATTER
    return head.white_matter_age if is_white else torch.tensor(head.age_months)


def corresponding_positions(origin: InfantHead, target: InfantHead) -> Points:
    """Where each voxel of one head lies in another head of the same subject.

    Both heads are views of one average head; a point of it is looked up in the target by fixed
    point iteration, which converges because a warp's gradient stays below 1.

    Args:
        origin: Head whose voxels are followed.
        target: Head of the same subject, at another age.

    Returns:
        (3, x, y, z) positions in the target's array, in voxels, fractions included.

    Raises:
        SpinforgeError: If the two are not the same subject.
    """
    if origin.phantom.subject != target.phantom.subject:
        raise SpinforgeError(
            f"positions correspond between ages of one subject, got {origin.phantom.subject!r} "
            f"and {target.phantom.subject!r}"
        )
    block = in_average_head(origin.anatomy, origin.grid.axes())
    goal = torch.stack(block.points)
    there = in_average_head(target.anatomy, target.grid.axes())
    reached = torch.stack(there.points)
    shape = torch.tensor(target.grid.shape).view(3, 1, 1, 1)
    step = target.grid.step_mm
    scale = torch.tensor(target.anatomy.proportions.scale).view(3, 1, 1, 1)
    first = torch.tensor([float(axis[0]) for axis in target.grid.axes()]).view(3, 1, 1, 1)
    positions = (goal * scale - first) / step
    for _ in range(MOST_ITERATIONS):
        normalised = (2.0 * positions / (shape - 1) - 1.0).flip(0).permute(1, 2, 3, 0)
        found = torch.nn.functional.grid_sample(
            reached[None], normalised[None], padding_mode="border", align_corners=True
        )[0]
        inside = positions.clamp(torch.zeros_like(shape), shape - 1)
        # Beyond the field of view the warp keeps its last value, and x' = x / s + u goes on.
        found = found + (positions - inside) * step / scale
        missing = (goal - found) * scale / step
        positions = positions + missing
        if float(missing.abs().max()) < CLOSE_ENOUGH:
            break
    return positions
