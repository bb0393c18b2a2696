"""The infant series grows and ripens as published, and stays one subject."""

import math
from dataclasses import replace

import closed_forms
import numpy as np
import pytest
import torch

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.head import generate_head, grid_in_average_head
from spinforge.simulation.phantoms.head_nuclei import ventricles
from spinforge.simulation.phantoms.head_subject import in_average_head, warp_steepest_gradient
from spinforge.simulation.phantoms.infant import (
    InfantHead,
    apparent_age,
    corresponding_positions,
    generate_infant,
    infant_digest,
    infant_images,
    relaxation_maps,
)
from spinforge.simulation.phantoms.infant_growth import (
    BRAIN_GAIN,
    VENTRICLE_GAIN,
    growth_at,
    relative_volume,
)
from spinforge.simulation.phantoms.infant_relaxation import (
    MATURATION_3T,
    T1_WEIGHTED,
    infant_signals,
)
from spinforge.simulation.phantoms.shapes import coverage
from spinforge.simulation.tissue import Tissue

AGES = (0.0, 3.0, 6.0, 9.0, 11.0)
SPACING_MM = 4.0
WHITE, GREY = MATURATION_3T[Tissue.WHITE_MATTER], MATURATION_3T[Tissue.GREY_MATTER]

# age: white T1 [s], T2 [ms]; grey T1, T2; white-to-grey ratio in T1w and T2w, as specified.
TABLE = {
    0: (2.60, 220, 2.00, 135, 0.678, 1.329),
    3: (1.92, 163, 1.82, 122, 0.885, 1.208),
    6: (1.60, 128, 1.71, 114, 1.016, 1.054),
    9: (1.43, 107, 1.63, 108, 1.103, 0.918),
    11: (1.35, 98, 1.60, 105, 1.144, 0.847),
}


@pytest.fixture(scope="module")
def series() -> dict[float, InfantHead]:
    return {
        age: generate_infant("sub-01", seed=0, age_months=age, spacing_mm=SPACING_MM)
        for age in AGES
    }


def ratios(ages: list[float]) -> np.ndarray:
    """White matter over grey matter: (T1-weighted or T2-weighted, age)."""
    months = torch.tensor(ages, dtype=torch.float64)
    white, grey = (infant_signals(t, months) for t in (Tissue.WHITE_MATTER, Tissue.GREY_MATTER))
    return (white.abs() / grey.abs()).numpy()


def brain_litres(head: InfantHead) -> float:
    brain = head.phantom.memberships[[Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER]]
    return float(brain.sum(dtype=torch.float64)) * SPACING_MM**3 * 1e-6


@pytest.mark.parametrize("age", TABLE)
def test_relaxation_and_contrast_follow_the_published_table(age):
    months = torch.tensor(float(age), dtype=torch.float64)
    found = [float(part) for tissue in (WHITE, GREY) for part in tissue.at(months)[:2]]
    found += ratios([float(age)])[:, 0].tolist()
    # Half of the last digit printed; T1 was rounded twice, by way of milliseconds.
    for value, expected, half in zip(
        found, TABLE[age], (0.0055, 0.5e-3, 0.0055, 0.5e-3, 0.5e-3, 0.5e-3), strict=True
    ):
        scale = 1e-3 if expected > 10 else 1.0
        assert value == pytest.approx(scale * expected, abs=half)


@pytest.mark.parametrize(("image", "months"), [(0, 5.5), (1, 7.1)], ids=["T1w", "T2w"])
def test_contrast_turns_over_once_at_the_published_age(image, months):
    ages = np.arange(0.0, 24.0, 0.05)
    contrast = ratios(ages.tolist())[image] - 1.0
    crossings = ages[1:][np.diff(np.sign(contrast)) != 0]
    # The ages are published to a tenth of a month.
    assert crossings == pytest.approx([months], abs=0.1)


def test_signals_are_the_closed_forms_of_both_protocols():
    t1, t2, density = (float(part) for part in GREY.at(torch.tensor(6.0, dtype=torch.float64)))
    t1_weighted, t2_weighted = infant_signals(Tissue.GREY_MATTER, torch.tensor(6.0)).tolist()
    train = {"spacing": 8.2e-3, "echoes": 144}
    echo = closed_forms.mprage(t1, tr=1.9, ti=0.9, flip=math.radians(7.0), **train)
    # Ages are float32 here.
    assert t1_weighted == pytest.approx(density * echo * math.exp(-T1_WEIGHTED.te / 0.05), rel=1e-6)
    recovered = 1.0 - math.exp(-7.38 / t1)
    # One spin echo for a train: its 180 degree pulse costs (TE / 2 T1)^2 exp(-TR / T1) = 2e-5.
    assert t2_weighted == pytest.approx(density * recovered * math.exp(-0.119 / t2), rel=5e-5)


def test_interpolated_signals_of_white_matter_are_those_of_each_age(series):
    head = series[3.0]
    pure = head.phantom.memberships[Tissue.WHITE_MATTER] > 1.0 - 1e-6
    expected = infant_signals(Tissue.WHITE_MATTER, head.white_matter_age[pure]).abs()
    # Ages 0.05 months apart: curvature times 0.05^2 / 8 leaves 1e-5; float32.
    torch.testing.assert_close(infant_images(head)[:, pure].double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("months", "gain"), [(0.0, 0.0), (3.0, 0.62), (12.0, 1.01)])
def test_brain_gains_what_was_published(months, gain):
    # Published to a percent of the volume at birth.
    assert relative_volume(BRAIN_GAIN, months) - 1.0 == pytest.approx(gain, abs=0.005)


def test_brain_grows_at_every_step_and_as_much_as_the_curve_says(series):
    litres = np.array([brain_litres(series[age]) for age in AGES])
    assert (np.diff(litres) > 0).all()
    expected = np.array([relative_volume(BRAIN_GAIN, age) for age in AGES])
    # A uniform scale would be exact; the growth warp, whose divergence does not average to zero
    # over a brain, may add some percent.
    np.testing.assert_allclose(litres / litres[0], expected, rtol=0.05)


def test_lateral_ventricles_grow_as_published(series):
    def millilitres(head: InfantHead) -> float:
        grid = grid_in_average_head(2.0, size=growth_at(head.age_months).size)
        block = in_average_head(head.anatomy, grid.axes())
        relief = head.anatomy.relief.on_grid(block.axes)[0]
        inside = ventricles(block, relief, head.anatomy.proportions.ventricles)
        lateral = (block.x.abs() > 4.0) & (block.z > -25.0)
        return float((coverage(inside, grid.step_mm) * lateral).sum()) * 2.0**3 / 1000

    grown = millilitres(series[11.0]) / millilitres(series[0.0])
    # One effective radius stands for tubes of many; subjects scatter by 7 %.
    assert grown == pytest.approx(relative_volume(VENTRICLE_GAIN, 11.0), rel=0.1)


def test_cortex_thickens_and_the_head_never_shrinks():
    growths = [growth_at(age) for age in np.linspace(0.0, 24.0, 49)]
    assert (np.diff([growth.size for growth in growths]) > 0).all()
    assert (np.diff([growth.size * growth.cortex for growth in growths]) > 0).all()
    one_year = growth_at(12.0)
    assert one_year.cortex == pytest.approx(1.0, abs=1e-12)
    assert one_year.distance == pytest.approx(0.0, abs=1e-12)


def test_centre_ripens_before_the_periphery_and_the_back_before_the_front(series):
    head = series[6.0]
    block = in_average_head(head.anatomy, head.grid.axes())
    white = head.phantom.memberships[Tissue.WHITE_MATTER] > 0.9

    def mean_age(region: torch.Tensor) -> float:
        return float(head.white_matter_age[region & white].mean())

    height = (block.z - 12.0).abs() < 4.0
    lateral, back, front = block.x.abs() > 45, block.y < -75, block.y > 40
    centre = (block.x.abs() < 25) & ((block.y + 17).abs() < 20)
    assert mean_age(centre & height) > mean_age(lateral & height) + 1.0
    assert mean_age(back & height) > mean_age(front & height) + 1.0
    assert mean_age(height) == pytest.approx(6.0, abs=1.5)
    assert float(apparent_age(block, 0.0).min()) >= -1.0


def test_images_of_the_series_turn_over(series):
    """Means over nearly pure voxels, so only the regional delays blur the crossing."""
    contrast = {}
    for age, head in series.items():
        images = infant_images(head)
        white, grey = (
            head.phantom.memberships[tissue] > 0.95
            for tissue in (Tissue.WHITE_MATTER, Tissue.GREY_MATTER)
        )
        contrast[age] = (images[:, white].mean(1) / images[:, grey].mean(1)).tolist()
    assert contrast[0.0][0] < 0.9 < 1.05 < contrast[11.0][0]
    assert contrast[0.0][1] > 1.1 > 0.95 > contrast[11.0][1]
    # White matter looks half a month younger on average: 2 to 4 % beside the table's 1.6 and 5.4.
    assert contrast[6.0] == pytest.approx([1.0, 1.0], abs=0.1)


def test_pure_voxels_have_the_relaxation_of_their_tissue(series):
    head = series[3.0]
    maps = relaxation_maps(head)
    grey = head.phantom.memberships[Tissue.GREY_MATTER] > 1.0 - 1e-6
    t1, t2, density = (float(value) for value in GREY.at(torch.tensor(3.0)))
    # Rates are sums of twelve float32 products.
    assert maps.t1[grey].numpy() == pytest.approx(t1, rel=1e-5)
    assert maps.t2[grey].numpy() == pytest.approx(t2, rel=1e-5)
    assert maps.proton_density[grey].numpy() == pytest.approx(density, rel=1e-5)
    air = head.phantom.memberships[Tissue.BACKGROUND] == 1.0
    assert not maps.t1[air].any()
    assert torch.isfinite(maps.t1).all()
    assert torch.isfinite(maps.t2).all()


def test_brains_of_two_ages_coincide_where_positions_correspond(series):
    """Skull and gyri are the same places; ventricles and cortex have their own growth."""
    early, late = series[0.0], series[11.0]
    positions = corresponding_positions(early, late)
    shape = torch.tensor(late.grid.shape).view(3, 1, 1, 1)
    normalised = (2.0 * positions / (shape - 1) - 1.0).flip(0).permute(1, 2, 3, 0)
    moved = torch.nn.functional.grid_sample(
        late.phantom.memberships[None], normalised[None], align_corners=True
    )[0]
    brain = [part[1:4].sum(0) > 0.5 for part in (early.phantom.memberships, moved)]
    overlap = 2.0 * (brain[0] & brain[1]).sum() / (brain[0].sum() + brain[1].sum())
    still = late.phantom.memberships[1:4].sum(0) > 0.5
    unmoved = 2.0 * (brain[0] & still).sum() / (brain[0].sum() + still.sum())
    # The surface alone, blurred over a 4 mm voxel of a small head, costs about 4 %.
    assert float(overlap) > 0.95
    assert float(unmoved) < 0.8


def test_positions_of_a_head_in_itself_are_its_own_voxels(series):
    head = series[6.0]
    positions = corresponding_positions(head, head)
    indices = torch.stack(
        torch.meshgrid(*[torch.arange(float(n)) for n in head.grid.shape], indexing="ij")
    )
    assert float((positions - indices).abs().max()) < 2e-3


def test_growth_never_folds_tissue_over_itself(series):
    for head in series.values():
        anatomy = head.anatomy
        # 0.85 is where warps are cut; float32 carries seven digits.
        assert warp_steepest_gradient(anatomy.warp, anatomy.warp_amplitude_mm) < 0.8501


def test_all_ages_have_the_same_folding_and_it_is_the_subjects(series):
    patterns = [head.anatomy.folding.values for head in series.values()]
    assert all(torch.equal(patterns[0], pattern) for pattern in patterns)


def test_same_infant_is_made_again_and_the_digest_tells_ages_apart(series):
    again = generate_infant("sub-01", seed=0, age_months=6.0, spacing_mm=SPACING_MM)
    assert torch.equal(again.phantom.memberships, series[6.0].phantom.memberships)
    assert again.phantom.digest == series[6.0].phantom.digest
    digests = {infant_digest("sub-01", seed=0, age_months=age) for age in AGES}
    head = generate_head("sub-01", seed=0, spacing_mm=8.0)
    assert len(digests | {head.digest}) == len(AGES) + 1


def test_memberships_sum_to_one(series):
    sums = series[0.0].phantom.memberships.sum(0)
    # Twelve float32 roundings of numbers up to 1 stay well below 1e-6.
    assert float((sums - 1.0).abs().max()) <= 1e-6


def test_slab_that_barely_reaches_the_cerebellums_height_is_composed():
    """Where a slab's brain has a single plane below the top of the cerebellum's box."""
    head = generate_infant("a", seed=2, age_months=0.0, spacing_mm=3.0)
    assert float((head.phantom.memberships.sum(0) - 1.0).abs().max()) <= 1e-6


@pytest.mark.parametrize("age", [-0.1, 24.5])
def test_ages_without_a_growth_curve_are_refused(age):
    with pytest.raises(SpinforgeError, match=f"age_months must be from 0 to 24, .* got {age}"):
        generate_infant("sub-01", seed=0, age_months=age, spacing_mm=8.0)


def test_positions_of_different_subjects_do_not_correspond(series):
    other = replace(series[6.0], phantom=replace(series[6.0].phantom, subject="sub-02"))
    with pytest.raises(SpinforgeError, match="one subject, got 'sub-01' and 'sub-02'"):
        corresponding_positions(series[6.0], other)
