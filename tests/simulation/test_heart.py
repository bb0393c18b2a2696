"""The procedural chest has a heart that is put together like one."""

import math
from dataclasses import replace

import closed_forms
import numpy as np
import pytest
import torch
from scipy import ndimage

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.heart import (
    CHEST_TISSUES,
    generate_heart,
    heart_digest,
    heart_image,
    heart_labels,
)
from spinforge.simulation.tissue import Tissue

SUBJECTS = ["sub-01", "sub-02", "sub-03"]


@pytest.fixture(scope="module")
def hearts() -> dict[str, Phantom]:
    return {subject: generate_heart(subject, seed=0, spacing_mm=2.0) for subject in SUBJECTS}


def large_components(mask: torch.Tensor, smallest_voxels: int) -> int:
    components, _ = ndimage.label(mask.numpy())
    return int((np.bincount(components.ravel())[1:] > smallest_voxels).sum())


@pytest.mark.parametrize("subject", SUBJECTS)
def test_memberships_are_fractions_that_sum_to_one(hearts, subject):
    memberships = hearts[subject].memberships
    assert memberships.shape == (len(CHEST_TISSUES), 80, 80, 64)
    assert float(memberships.min()) >= -1e-6
    # Some twenty layers of float32 roundings.
    assert float((memberships.sum(0) - 1.0).abs().max()) <= 2e-6


@pytest.mark.parametrize("subject", SUBJECTS)
def test_volumes_are_those_of_a_heart(hearts, subject):
    """A school child's to a grown-up's, dilated ones included."""
    labels = heart_labels(hearts[subject])
    myocardium, blood = (float((labels == code).sum()) * 8e-3 for code in (1, 2))
    assert 50 < myocardium < 200
    assert 120 < blood < 450


@pytest.mark.parametrize("tissue", CHEST_TISSUES, ids=lambda tissue: tissue.name)
def test_every_tissue_is_somewhere_the_most_abundant(hearts, tissue):
    assert (hearts["sub-01"].labels == tissue).any()


def test_left_and_right_heart_communicate_exactly_where_the_septum_has_a_hole(hearts):
    defects = []
    for heart in hearts.values():
        has_hole = heart.parameters["defect_mm"] > 0.0
        blood = heart_labels(heart) == 2
        assert large_components(blood, 1000) == (1 if has_hole else 2)
        defects.append(has_hole)
    assert len(set(defects)) == 2


def test_left_ventricle_is_a_chamber_within_its_wall(hearts):
    """From its centre to the free wall: blood, a wall of the drawn thickness, no blood."""
    heart = hearts["sub-02"]
    row = heart_labels(heart)
    # The apex points left, so the free wall lies on the side of small x.
    centre = (40 - 10, 40 + 6, 32 - 5)
    assert row[centre] == 2
    outwards = row[: centre[0], centre[1], centre[2]].flip(0)
    wall = int((outwards == 1).sum()) * 2.0
    drawn = heart.parameters["wall_mm"] * heart.parameters["scale"] * 0.93
    # The ray leaves the ellipsoid at a slant of up to 40 degrees; voxels have 2 mm.
    assert drawn - 2.0 <= wall <= drawn / math.cos(math.radians(40.0)) + 2.0


def test_mirrored_chests_have_their_heart_on_the_right():
    mirrored = {}
    for name in ("t0", "t2"):
        heart = generate_heart(name, seed=1, spacing_mm=4.0)
        centre = torch.nonzero(heart_labels(heart) == 1)[:, 0].double().mean()
        mirrored[name] = heart.parameters["mirrored"]
        assert (float(centre) > 19.5) == mirrored[name]
    assert mirrored == {"t0": True, "t2": False}


@pytest.mark.parametrize(
    ("tissue", "t1", "t2", "density"),
    [
        (Tissue.BLOOD, 1.550, 0.250, 0.95),
        (Tissue.MYOCARDIUM, 1.030, 0.045, 0.85),
        (Tissue.FAT, 0.350, 0.070, 1.0),
        (Tissue.MUSCLE, 0.900, 0.047, 1.0),
    ],
)
def test_image_is_the_specified_steady_state(hearts, tissue, t1, t2, density):
    """Freeman and Hill's, with T2 decay alone until the echo (simulation.md 6.2)."""
    one_tissue = torch.eye(len(CHEST_TISSUES))[..., None, None]
    image = heart_image(replace(hearts["sub-01"], memberships=one_tissue))
    steady = closed_forms.freeman_hill(t1, t2, tr=3.4e-3, flip=math.radians(60.0))
    expected = density * steady * math.exp(-1.7e-3 / t2)
    # Float32.
    assert float(image[CHEST_TISSUES.index(tissue)]) == pytest.approx(expected, rel=1e-6)


def test_blood_outshines_muscle_and_lungs_are_dark(hearts):
    heart = hearts["sub-01"]
    image = heart_image(heart)

    def mean(tissue: Tissue) -> float:
        return float(image[heart.membership(tissue) > 0.99].mean())

    assert mean(Tissue.BLOOD) > 2.0 * mean(Tissue.MYOCARDIUM) > 8.0 * mean(Tissue.LUNG)
    assert not image[heart.membership(Tissue.BACKGROUND) > 0.9999].gt(1e-3).any()


def test_same_subject_is_made_again_and_digests_tell_subjects_apart(hearts):
    again = generate_heart("sub-01", seed=0, spacing_mm=2.0)
    assert torch.equal(again.memberships, hearts["sub-01"].memberships)
    assert again.digest == heart_digest("sub-01", seed=0, spacing_mm=2.0)
    digests = {heart.digest for heart in hearts.values()}
    digests |= {heart_digest("sub-01", seed=1, spacing_mm=2.0), heart_digest("sub-01", seed=0)}
    assert len(digests) == len(SUBJECTS) + 2


@pytest.mark.parametrize("spacing_mm", [0.0, 4.5])
def test_voxels_that_show_no_heart_are_refused(spacing_mm):
    with pytest.raises(SpinforgeError, match=f"at most 4.0 mm, got {spacing_mm}"):
        generate_heart("sub-01", seed=0, spacing_mm=spacing_mm)
