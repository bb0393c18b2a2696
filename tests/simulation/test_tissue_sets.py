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


# T1, T2, T2* [ms] and proton density as simulation.md 1.7 has them: BrainWeb's file, then what its
# twenty models have beyond it.
AT_1P5T = {
    Tissue.CSF: (2569, 329, 58, 1.0),
    Tissue.GREY_MATTER: (833, 83, 69, 0.86),
    Tissue.WHITE_MATTER: (500, 70, 61, 0.77),
    Tissue.FAT: (350, 70, 58, 1.0),
    Tissue.MUSCLE_SKIN: (900, 47, 30, 1.0),
    Tissue.SKIN: (2569, 329, 58, 1.0),
    Tissue.CONNECTIVE: (500, 70, 61, 0.77),
    Tissue.LESION: (752, 237, 204, 0.76),
    Tissue.MUSCLE: (900, 47, 30, 1.0),
    Tissue.VESSELS: (900, 180, 58, 0.87),
    Tissue.AROUND_FAT: (350, 70, 58, 0.9),
    Tissue.MARROW: (350, 70, 58, 0.9),
    Tissue.DURA: (900, 47, 30, 0.7),
    Tissue.SKULL: (260, 1, 0.5, 0.1),
}

# MRiLab's own; whatever is missing here and in the next is the table above at twice the field.
MRILAB_3T = {
    Tissue.CSF: (4500, 2200, 1100, 1.0),
    Tissue.GREY_MATTER: (950, 100, 50, 0.8),
    Tissue.WHITE_MATTER: (600, 80, 40, 0.65),
    Tissue.MUSCLE: (1100, 35, 17.5, 0.7),
    Tissue.MUSCLE_SKIN: (1100, 35, 17.5, 0.7),
    Tissue.SKIN: (300, 30, 15, 0.6),
    Tissue.SKULL: (100, 10, 5, 0.05),
    Tissue.CONNECTIVE: (1000, 42, 21, 0.75),
    Tissue.FAT: (330, 130, 26, 1.0),
}

# T1 and T2 alone: R2' is twice BrainWeb's, the proton density BrainWeb's.
LITERATURE_3T = {
    Tissue.GREY_MATTER: (1331, 110),
    Tissue.WHITE_MATTER: (832, 79.6),
    Tissue.MUSCLE: (1412, 50),
    Tissue.MUSCLE_SKIN: (1412, 50),
    Tissue.CSF: (4300, 2000),
    Tissue.FAT: (380, 70),
    Tissue.VESSELS: (1650, 275),
}

# T1 grows by 2^b: Rooney 2007 for brain, Bottomley 1984 for fat and muscle and what is like it.
EXPONENTS = {
    Tissue.CSF: 0.0,
    Tissue.GREY_MATTER: 0.376,
    Tissue.WHITE_MATTER: 0.382,
    Tissue.LESION: 0.376,
    Tissue.FAT: 0.1743,
    Tissue.AROUND_FAT: 0.1743,
    Tissue.MARROW: 0.1743,
}


def at_twice_the_field(tissue):
    t1, t2, t2_star, density = AT_1P5T[tissue]
    return t1 * 2 ** EXPONENTS.get(tissue, 0.4203), t2, dephased(t2, t2, t2_star), density


def dephased(t2, t2_at_1p5t, t2_star_at_1p5t):
    """T2* where R2' is twice that of 1.5 T."""
    return 1 / (1 / t2 + 2 * (1 / t2_star_at_1p5t - 1 / t2_at_1p5t))


def milliseconds(relaxation):
    r = relaxation
    return (1e3 * r.t1, 1e3 * r.t2, 1e3 * r.t2_star, r.proton_density)


@pytest.mark.parametrize("tissue", AT_1P5T)
def test_brainweb_table_is_brainwebs(tissue):
    assert milliseconds(BRAINWEB[tissue]) == pytest.approx(AT_1P5T[tissue], rel=1e-12)


@pytest.mark.parametrize("tissue", AT_1P5T)
def test_mrilab_table_is_mrilabs_and_else_brainwebs_at_3t(tissue):
    expected = MRILAB_3T.get(tissue) or at_twice_the_field(tissue)
    found = TISSUE_SETS["mrilab_3T"].properties[tissue]
    assert milliseconds(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tissue", AT_1P5T)
def test_literature_table_is_that_of_its_sources_and_else_brainwebs_at_3t(tissue):
    expected = at_twice_the_field(tissue)
    if tissue in LITERATURE_3T:
        (t1, t2), (_, old_t2, old_t2_star, density) = LITERATURE_3T[tissue], AT_1P5T[tissue]
        expected = (t1, t2, dephased(t2, old_t2, old_t2_star), density)
    found = TISSUE_SETS["literature_3T"].properties[tissue]
    assert milliseconds(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", TISSUE_SETS)
def test_a_table_has_the_tissues_written_out_here_and_air_and_its_field(name):
    assert set(TISSUE_SETS[name].properties) == {*AT_1P5T, Tissue.BACKGROUND}
    assert TISSUE_SETS[name].name == name
    assert TISSUE_SETS[name].field_t == (1.5 if name == "brainweb_1p5T" else 3.0)


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


@pytest.mark.parametrize(("tissue", "exponent"), EXPONENTS.items())
def test_field_scaling_is_a_power_law_at_any_field(tissue, exponent):
    before, after = BRAINWEB[tissue], scaled_to_field(BRAINWEB, 1.5, 7.0)[tissue]
    assert after.t1 == pytest.approx(before.t1 * (7 / 1.5) ** exponent)
    assert after.r2_prime == pytest.approx(before.r2_prime * 7 / 1.5)
    assert (after.t2, after.proton_density) == (before.t2, before.proton_density)


def test_no_variability_is_no_change():
    factors = draw_tissue_factors(SampleRng(0, "t"), HEAD_TISSUES, 0.0)
    assert with_factors(BRAINWEB, factors) == dict(BRAINWEB)


@pytest.mark.parametrize("variability", [1.0, 2.5])
def test_variability_has_the_stated_spread_and_is_clipped_at_two_deviations(variability):
    drawn = [draw_tissue_factors(SampleRng(s, "t"), (WM, GM), variability) for s in range(2000)]
    logs = np.log([[d[WM], d[GM]] for d in drawn])  # (subject, tissue, property)
    spread = variability * np.array([0.04, 0.04, 0.06, 0.02])
    for tissue in range(2):
        assert np.abs(logs[:, tissue]).max(axis=0) == pytest.approx(2 * spread, rel=1e-9)
        # A normal clipped at two deviations has 0.9594 of its deviation; 2000 draws: 1.6 % error.
        assert logs[:, tissue].std(axis=0) == pytest.approx(0.9594 * spread, rel=0.06)
        assert np.abs(logs[:, tissue].mean(axis=0) / spread).max() < 5 / math.sqrt(2000)
    # Every tissue and property is drawn for itself.
    correlation = np.corrcoef(logs.reshape(2000, -1).T) - np.eye(8)
    assert np.abs(correlation).max() < 5 / math.sqrt(2000)


def test_factors_multiply_t1_t2_t2_star_and_proton_density_in_this_order():
    varied = with_factors(BRAINWEB, {WM: (1.1, 1.2, 0.9, 0.8)})
    assert milliseconds(varied[WM]) == pytest.approx((550, 84, 54.9, 0.616))
    assert varied[GM] == BRAINWEB[GM]


def test_t2_star_never_exceeds_t2():
    varied = with_factors(BRAINWEB, {WM: (1.0, 0.9, 1.2, 1.0)})
    assert varied[WM].t2_star == varied[WM].t2
    assert varied[WM].r2_prime == 0
