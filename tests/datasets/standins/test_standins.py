"""Stand-ins are collections like the real ones, and what is said of their images is true."""

import math

import numpy as np
import pytest

from spinforge.datasets.phantoms import ProceduralHeads
from spinforge.datasets.public.isic import CHANNELS
from spinforge.datasets.standins import elderly
from spinforge.datasets.standins.abdomens import Abdomens
from spinforge.datasets.standins.elderly import ElderlyHeads
from spinforge.datasets.standins.heads import SimulatedBrainWeb
from spinforge.datasets.standins.hearts import Chests
from spinforge.datasets.standins.skins import Skins
from spinforge.datasets.volumes import IGNORE, LabelledVolume, VolumeSource
from spinforge.simulation.corruption.intensity import NonUniformity
from spinforge.simulation.corruption.noise import RicianNoise
from spinforge.simulation.phantoms.ageing import generate_ageing_head
from spinforge.simulation.phantoms.ageing_slices import ageing_labels, ageing_slices
from spinforge.simulation.phantoms.heart import generate_heart
from spinforge.simulation.phantoms.skin import generate_skin
from spinforge.simulation.tissue import Tissue

HEADS = SimulatedBrainWeb(ProceduralHeads(2, seed=0, spacing_mm=4.0))
SOURCES = {
    "heads": HEADS,
    "elderly": ElderlyHeads(2, ["ageing-007"], seed=0, spacing_mm=3.0),
    "hearts": Chests(2, ["heart-007"], seed=0, spacing_mm=4.0),
    "abdomens": Abdomens(2, ["abdomen-007"], seed=0, size=64),
    "skins": Skins({"training": 3, "test": 2}, seed=0, size=(16, 24)),
}
EACH = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@EACH
def test_stand_ins_are_collections(source):
    assert isinstance(source, VolumeSource)
    names = source.subjects()
    assert names == sorted(set(names))
    digests = {name: source.digest(name) for name in names}
    assert len(set(digests.values())) == len(names)
    for name in names:
        source.check(name)


def test_named_subjects_come_along_and_others_do_not():
    assert SOURCES["hearts"].subjects() == ["heart-000", "heart-001", "heart-007"]
    assert Chests(1, ["head-003", "heart-1", "heart-0001"]).subjects() == ["heart-000"]


def test_photographs_are_in_their_parts():
    skins = SOURCES["skins"]
    assert skins.subjects_of("test") == ["test-0000", "test-0001"]
    assert skins.subjects_of("validation") == []
    assert len(skins.subjects()) == 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Chests(1), Chests(1, seed=1)),
        (Chests(1), Chests(1, banding=1)),
        (Chests(1), Chests(1, corruptions=(RicianNoise(),))),
        (Chests(1), Chests(1, spacing_mm=2.0)),
        (Abdomens(1), Abdomens(1, size=128)),
        (ElderlyHeads(1), ElderlyHeads(1, seed=1)),
    ],
)
def test_whatever_changes_an_image_changes_the_digest(one, other):
    name = one.subjects()[0]
    assert one.digest(name) != other.digest(name)
    assert one.digest(name) == type(one)(5, **{k: getattr(one, k) for k in ("seed",)}).digest(name)


# ---------------------------------------------------------------------------------- heads


@pytest.fixture(scope="module")
def head() -> LabelledVolume:
    return HEADS.load("head-000")


def test_pure_tissue_has_its_signal(head):
    """Deep in white matter nothing but white matter is left."""
    pure = head.parameters["reference_signal"]["T1"]
    inside = head.contrasts["T1"][head.labels == 3]
    # Voxels of 4 mm; the largest share of white matter in them is all but one.
    assert np.isclose(inside, pure, rtol=1e-3).mean() > 0.1


def test_affine_is_brainwebs(head):
    """The first voxel of 4 mm starts where that of 1 mm does: at -90.5, -126.5, -72.5."""
    corner = head.affine @ [-0.5, -0.5, -0.5, 1]
    np.testing.assert_allclose(corner[:3], (-90.5, -126.5, -72.5))


def test_axes_are_z_y_x(head):
    memberships = ProceduralHeads(1, seed=0, spacing_mm=4.0).load("head-000").memberships
    assert head.labels.shape == memberships.shape[:0:-1]
    white = memberships[3].numpy()
    x, y, z = np.argwhere(white > 0.99)[0]
    assert head.labels[z, y, x] == 3


# -------------------------------------------------------------------------------- elderly


def test_cerebellum_and_brainstem_are_not_scored_and_nothing_else(monkeypatch):
    made = generate_ageing_head("ageing-000", seed=0, spacing_mm=3.0)
    monkeypatch.setattr(elderly, "generate_ageing_head", lambda *_, **__: made)
    volume = SOURCES["elderly"].load("ageing-000")
    separate = ageing_labels(made, ageing_slices(made)).numpy().transpose(2, 1, 0)
    np.testing.assert_array_equal(volume.labels == IGNORE, separate >= 7)
    np.testing.assert_array_equal(volume.labels == 3, (separate == 3) | (separate == 4))


# --------------------------------------------------------------------------------- hearts


def test_noise_is_five_percent_of_blood():
    """In the air outside, the mean of Rayleigh noise is its sigma times the root of pi / 2."""
    clean = SOURCES["hearts"].load("heart-000")
    noisy = Chests(1, spacing_mm=4.0, corruptions=(RicianNoise(level=3),)).load("heart-000")
    air = clean.contrasts["MR"] == 0
    sigma = noisy.contrasts["MR"][air].mean() / math.sqrt(math.pi / 2)
    expected = 0.05 * clean.parameters["reference_signal"]["MR"]
    # Four standard errors of the mean of so many Rayleigh numbers, whose spread is 0.52 of it.
    assert sigma == pytest.approx(expected, rel=4 * 0.523 / math.sqrt(air.sum()))
    assert air.sum() > 3000


def test_bias_spans_forty_percent_over_the_body():
    clean = SOURCES["hearts"].load("heart-000").contrasts["MR"]
    biased = Chests(1, spacing_mm=4.0, corruptions=(NonUniformity(level=3),)).load("heart-000")
    air = generate_heart("heart-000", seed=0, spacing_mm=4.0).membership(Tissue.BACKGROUND)
    body = (air.numpy().transpose(2, 1, 0) < 0.5) & (clean > 0)
    ratio = biased.contrasts["MR"][body] / clean[body]
    # Single precision; both extremes are in voxels that have a signal.
    assert (ratio.min(), ratio.max()) == pytest.approx((0.8, 1.2), abs=1e-5)


def test_what_happened_to_a_chest_is_noted():
    chain = (NonUniformity(level=3), RicianNoise(level=3))
    noted = Chests(1, spacing_mm=4.0, corruptions=chain, banding=2).load("heart-000").parameters
    assert [entry["id"] for entry in noted["corruptions"]] == ["inu", "noise"]
    assert noted["corruptions"][0]["rng_path"] == "hvsmr_like/heart-000/MR/0-inu/level-3"
    assert noted["banding"]["factor"] == 2
    low, high = noted["banding"]["field_hz"]
    assert low < 0 < high


def test_bands_darken_the_heart_only_where_there_is_off_resonance():
    clean = SOURCES["hearts"].load("heart-000")
    banded = Chests(1, spacing_mm=4.0, banding=5).load("heart-000")
    blood = clean.labels == 2
    change = banded.contrasts["MR"][blood] / clean.contrasts["MR"][blood]
    # Eight times the field: bands go through the heart, and between them it is as bright.
    assert (change < 0.5).mean() > 0.01
    assert (np.abs(change - 1) < 0.1).mean() > 0.3


# ---------------------------------------------------------------------- abdomens and skins


def test_ct_is_in_hounsfield_units():
    volume = SOURCES["abdomens"].load("abdomen-000")
    image = volume.contrasts["CT"]
    assert image[0, 0, 0] == pytest.approx(-1000, abs=60)  # air, with its noise
    assert 90 < image[volume.labels == 1].mean() < 130
    assert volume.spacing_mm == (5.0, 6.0, 6.0)


def test_photographs_are_bytes_of_the_colours():
    photograph = SOURCES["skins"].load("training-0001")
    made = generate_skin("training-0001", seed=0, height=16, width=24)
    for name, colour in zip(CHANNELS, made.image.numpy(), strict=True):
        stored = photograph.contrasts[name]
        assert (stored.shape, stored.dtype) == ((1, 16, 24), np.uint8)
        # Half a step, and a rounding of single precision.
        np.testing.assert_allclose(stored[0] / 255, colour, atol=0.5001 / 255)
