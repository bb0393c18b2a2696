"""The elderly head: lesions where age puts them, and MRBrainS's labels and contrasts."""

import math

import pytest
import torch

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantoms.ageing import (
    AGEING_TISSUES,
    AgeingHead,
    ageing_digest,
    generate_ageing_head,
)
from spinforge.simulation.phantoms.ageing_slices import (
    LABEL_NAMES,
    MERGED,
    ageing_images,
    ageing_labels,
    ageing_slices,
    inversion_recovery,
    merge_labels,
    spoiled_gradient_echo,
)
from spinforge.simulation.phantoms.head_nuclei import ventricles
from spinforge.simulation.phantoms.head_subject import in_average_head
from spinforge.simulation.phantoms.stand_in_tissues import ADULT_3T
from spinforge.simulation.tissue import Relaxation, Tissue

SPACING_MM = 3.0
SLICE_VOXEL_ML = 0.958 * 0.958 * 3.0 / 1e3
WHITE = Relaxation(t1=0.832, t2=0.0796, t2_star=0.060, proton_density=0.77)


@pytest.fixture(scope="module")
def head() -> AgeingHead:
    return generate_ageing_head("sub-01", seed=0, spacing_mm=SPACING_MM)


def test_lesions_have_the_drawn_volume_and_come_out_of_white_matter(head):
    memberships = head.phantom.memberships
    assert memberships.shape[0] == len(AGEING_TISSUES)
    assert float((memberships.sum(0) - 1.0).abs().max()) <= 1e-6
    assert float(memberships.min()) >= 0.0
    volume_ml = float(head.phantom.membership(Tissue.LESION).sum()) * SPACING_MM**3 / 1e3
    # The drawn volume counts lesions to where they fade to half; fading is not symmetric.
    assert volume_ml == pytest.approx(head.phantom.parameters["lesions_ml"], rel=0.25)


def test_lesions_crowd_around_the_lateral_ventricles(head):
    block = in_average_head(head.anatomy, head.grid.axes())
    relief = head.anatomy.relief.on_grid(block.axes)[0]
    distance = -ventricles(block, relief, head.anatomy.proportions.ventricles)
    white = head.phantom.memberships[[Tissue.WHITE_MATTER, Tissue.LESION]].sum(0)
    lesion = head.phantom.membership(Tissue.LESION)

    def share(region: torch.Tensor) -> float:
        return float(lesion[region].sum() / white[region].sum())

    near, far = (distance > 0) & (distance < 6), distance > 12
    assert share(near) > 5.0 * share(far) > 0.0


def test_ventricles_are_wider_than_the_adults_they_were(head):
    young = head.phantom.parameters["ventricles"]
    assert young > 1.0
    assert float(head.phantom.memberships[Tissue.CSF].sum()) * SPACING_MM**3 / 1e3 > 300.0


def test_slices_keep_the_volume_of_what_they_average(head):
    slices = ageing_slices(head)
    assert slices.shape == (13, 240, 240, 48)
    # Float32 sums of weights and of thirteen tissues.
    assert float((slices.sum(0) - 1.0).abs().max()) <= 1e-5
    planes = head.phantom.memberships[Tissue.CSF].sum((0, 1))
    averaged = slices[Tissue.CSF].sum((0, 1))
    edges = head.grid.corner_mm[2] + SPACING_MM * torch.arange(head.grid.shape[2] + 1)
    covered = (torch.minimum(edges[1:], torch.tensor(81.0)) - edges[:-1].clamp(min=-63.0)).clamp(
        min=0.0
    )
    assert float(averaged.sum()) * 3.0 == pytest.approx(float((planes * covered).sum()), rel=1e-5)


def test_every_label_is_there_and_lies_where_it_should(head):
    labels = ageing_labels(head, ageing_slices(head))
    assert labels.unique().tolist() == list(range(len(LABEL_NAMES)))
    height = [torch.nonzero(labels == code)[:, 2].double().mean() for code in range(9)]
    assert height[7] < height[2] < height[3]
    assert height[8] < height[2]
    behind = [torch.nonzero(labels == code)[:, 1].double().mean() for code in range(9)]
    assert behind[7] < behind[8] < behind[2]


@pytest.mark.slow
def test_label_volumes_are_those_of_an_old_brain():
    """At full resolution; wide limits that any mix-up of labels would break."""
    head = generate_ageing_head("sub-02", seed=0)
    labels = ageing_labels(head, ageing_slices(head))
    millilitres = [float((labels == code).sum()) * SLICE_VOXEL_ML for code in range(9)]
    limits = [(4e3, 7e3), (500, 800), (15, 60), (400, 750), (0.5, 80), (250, 650)]
    limits += [(20, 120), (90, 200), (15, 50)]
    for value, (low, high) in zip(millilitres, limits, strict=True):
        assert low < value < high
    merged = merge_labels(labels)
    counts = [int((merged == code).sum()) for code in range(4)]
    assert counts[2] > counts[3] > counts[1]


def test_merging_adds_nuclei_to_grey_lesions_to_white_and_ventricles_to_fluid():
    merged = merge_labels(torch.arange(9, dtype=torch.uint8).view(9, 1, 1))
    assert merged.flatten().tolist() == [0, 2, 2, 3, 3, 1, 1, 0, 0] == list(MERGED)


def test_lesions_outshine_all_other_tissue_in_flair(head):
    slices = ageing_slices(head)
    one_tissue = torch.eye(13).view(13, 13, 1, 1)
    t1_weighted, _, flair = ageing_images(one_tissue, AGEING_TISSUES)[..., 0, 0]
    brain = [Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER]
    assert (flair[Tissue.LESION] > 1.2 * flair[brain]).all()
    assert flair[Tissue.CSF] < 0.3 * flair[Tissue.WHITE_MATTER]
    assert t1_weighted[Tissue.WHITE_MATTER] > t1_weighted[Tissue.LESION]
    assert t1_weighted[Tissue.LESION] > t1_weighted[Tissue.CSF]
    images = ageing_images(slices, AGEING_TISSUES)
    assert images.shape == (3, 240, 240, 48)
    assert (images >= 0).all()


def test_inversion_recovery_is_what_repeating_it_converges_to():
    tr, te, ti = 1.2, 0.08, 0.4
    longitudinal = 1.0
    for _ in range(40):
        at_excitation = 1.0 - (1.0 + longitudinal) * math.exp(-ti / WHITE.t1)
        at_refocusing = -(1.0 - math.exp(-te / 2 / WHITE.t1))
        rest = tr - ti - te / 2
        longitudinal = 1.0 - (1.0 - at_refocusing) * math.exp(-rest / WHITE.t1)
    expected = WHITE.proton_density * at_excitation * math.exp(-te / WHITE.t2)
    assert inversion_recovery(WHITE, tr=tr, te=te, ti=ti) == pytest.approx(expected, rel=1e-12)


def test_spoiled_gradient_echo_is_what_repeating_it_converges_to():
    tr, te, flip = 7.9e-3, 4.5e-3, math.radians(8.0)
    longitudinal = 1.0
    for _ in range(3000):
        transverse = longitudinal * math.sin(flip)
        longitudinal = 1.0 - (1.0 - longitudinal * math.cos(flip)) * math.exp(-tr / WHITE.t1)
    expected = WHITE.proton_density * transverse * math.exp(-te / WHITE.t2_star)
    found = spoiled_gradient_echo(WHITE, tr=tr, te=te, flip_angle=flip)
    assert found == pytest.approx(expected, rel=1e-10)


def test_every_tissue_of_the_head_has_relaxation_times():
    assert set(ADULT_3T) == set(AGEING_TISSUES)
    for tissue in ADULT_3T.values():
        assert 0 < tissue.t2_star <= tissue.t2 <= tissue.t1


def test_same_subject_is_made_again_and_digests_tell_subjects_apart(head):
    again = generate_ageing_head("sub-01", seed=0, spacing_mm=SPACING_MM)
    assert torch.equal(again.phantom.memberships, head.phantom.memberships)
    assert again.phantom.digest == ageing_digest("sub-01", seed=0, spacing_mm=SPACING_MM)
    assert ageing_digest("sub-01", seed=0) != again.phantom.digest != ageing_digest("x", seed=0)


@pytest.mark.parametrize("spacing_mm", [-1.0, 3.1])
def test_voxels_thicker_than_a_slice_are_refused(spacing_mm):
    with pytest.raises(SpinforgeError, match=f"at most 3 mm, a slice's .* got {spacing_mm}"):
        generate_ageing_head("sub-01", seed=0, spacing_mm=spacing_mm)
