import math

import numpy as np
import pytest

from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue
from spinforge.simulation.tissue_sets import (
    TISSUE_SETS,
    draw_tissue_factors,
    scaled_to_field,
    with_factors,
)

BRAINWEB = TISSUE_SETS["brainweb_1p5T"].properties
GM, WM, CSF = Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.CSF


@pytest.mark.parametrize("name", TISSUE_SETS)
def test_every_table_has_every_class_of_a_head_and_possible_times(name):
    properties = TISSUE_SETS[name].properties
    for tissue in HEAD_TISSUES:
        r = properties[tissue]
        assert 0 < r.t2_star <= r.t2 <= r.t1
        assert 0 <= r.proton_density <= 1
    assert properties[Tissue.BACKGROUND].proton_density == 0


@pytest.mark.parametrize(
    ("tissue", "t1", "t2", "t2_star", "density"),
    [
        (CSF, 2.569, 0.329, 0.058, 1.0),
        (GM, 0.833, 0.083, 0.069, 0.86),
        (WM, 0.500, 0.070, 0.061, 0.77),
        (Tissue.FAT, 0.350, 0.070, 0.058, 1.0),
        (Tissue.MUSCLE_SKIN, 0.900, 0.047, 0.030, 1.0),
        (Tissue.LESION, 0.752, 0.237, 0.204, 0.76),
    ],
)
def test_brainweb_table_is_brainwebs(tissue, t1, t2, t2_star, density):
    r = BRAINWEB[tissue]
    assert (r.t1, r.t2, r.t2_star, r.proton_density) == (t1, t2, t2_star, density)


def test_field_scaling_follows_the_measured_exponents():
    """Doubling the field lengthens T1 of WM by 2^.382 = 1.303 (Rooney 2007), of CSF not."""
    at_3t = scaled_to_field(BRAINWEB, 1.5, 3.0)
    assert at_3t[WM].t1 / BRAINWEB[WM].t1 == pytest.approx(2**0.382)
    assert at_3t[CSF].t1 == BRAINWEB[CSF].t1
    assert at_3t[WM].t2 == BRAINWEB[WM].t2
    assert at_3t[WM].r2_prime == pytest.approx(2 * BRAINWEB[WM].r2_prime)


def test_scaling_to_the_same_field_changes_nothing():
    same = scaled_to_field(BRAINWEB, 1.5, 1.5)
    for tissue, r in BRAINWEB.items():
        assert same[tissue].t1 == r.t1
        assert same[tissue].t2_star == pytest.approx(r.t2_star)


def test_literature_table_keeps_reversible_rates_of_twice_the_field():
    r = TISSUE_SETS["literature_3T"].properties[WM]
    assert (r.t1, r.t2) == (0.832, 0.0796)
    assert r.r2_prime == pytest.approx(2 * BRAINWEB[WM].r2_prime)


def test_no_variability_is_no_change():
    factors = draw_tissue_factors(SampleRng(0, "t"), HEAD_TISSUES, 0.0)
    assert with_factors(BRAINWEB, factors) == dict(BRAINWEB)


def test_variability_has_the_stated_spread_and_is_clipped_at_two_deviations():
    logs = np.array(
        [
            [math.log(f) for f in draw_tissue_factors(SampleRng(s, "t"), (WM,), 1.0)[WM]]
            for s in range(2000)
        ]
    )
    spread = np.array([0.04, 0.04, 0.06, 0.02])
    assert np.abs(logs).max(axis=0) == pytest.approx(2 * spread, rel=1e-9)
    # A normal clipped at two deviations has 0.9594 of its deviation; 2000 draws: 1.6 % error.
    assert logs.std(axis=0) == pytest.approx(0.9594 * spread, rel=0.06)
    assert np.abs(logs.mean(axis=0)).max() < 0.06 * 5 / math.sqrt(2000)


def test_t2_star_never_exceeds_t2():
    varied = with_factors(BRAINWEB, {WM: (1.0, 0.9, 1.2, 1.0)})
    assert varied[WM].t2_star == varied[WM].t2
    assert varied[WM].r2_prime == 0
