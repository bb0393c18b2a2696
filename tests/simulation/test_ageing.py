"""The elderly head: lesions where age puts them, and MRBrainS's labels and contrasts."""

import math

import closed_forms
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
    merge_labels,
)
from spinforge.simulation.phantoms.head_nuclei import ventricles
from spinforge.simulation.phantoms.head_subject import in_average_head
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

SPACING_MM = 3.0
SLICE_VOXEL_ML = 0.958 * 0.958 * 3.0 / 1e3
ONE_TISSUE = torch.eye(len(AGEING_TISSUES))[..., None, None]


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
    t1_weighted, _, flair = ageing_images(ONE_TISSUE, AGEING_TISSUES)[..., 0, 0]
    brain = [Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER]
    assert (flair[Tissue.LESION] > 1.2 * flair[brain]).all()
    assert flair[Tissue.CSF] < 0.3 * flair[Tissue.WHITE_MATTER]
    assert t1_weighted[Tissue.WHITE_MATTER] > t1_weighted[Tissue.LESION]
    assert t1_weighted[Tissue.LESION] > t1_weighted[Tissue.CSF]
    images = ageing_images(slices, AGEING_TISSUES)
    assert images.shape == (3, 240, 240, 48)
    assert (images >= 0).all()


@pytest.mark.parametrize("tissue", [Tissue.WHITE_MATTER, Tissue.LESION])
def test_images_have_the_closed_forms_of_mrbrains_timing(tissue):
    r = TISSUE_SETS["literature_3T"].properties[tissue]
    steady = closed_forms.ernst(r.t1, tr=7.9e-3, flip=math.radians(8.0))
    expected = [
        steady * math.exp(-4.5e-3 / r.t2_star),
        closed_forms.inversion_recovery(r.t1, r.t2, tr=4.416, te=15e-3, ti=0.400),
        closed_forms.inversion_recovery(r.t1, r.t2, tr=11.0, te=0.125, ti=2.8),
    ]
    found = ageing_images(ONE_TISSUE, AGEING_TISSUES)[:, tissue, 0, 0]
    # Float32.
    assert found.tolist() == pytest.approx([r.proton_density * abs(e) for e in expected], rel=1e-6)


def test_same_subject_is_made_again_and_digests_tell_subjects_apart(head):
    again = generate_ageing_head("sub-01", seed=0, spacing_mm=SPACING_MM)
    assert torch.equal(again.phantom.memberships, head.phantom.memberships)
    assert again.phantom.digest == ageing_digest("sub-01", seed=0, spacing_mm=SPACING_MM)
    assert ageing_digest("sub-01", seed=0) != again.phantom.digest != ageing_digest("x", seed=0)


@pytest.mark.parametrize("spacing_mm", [-1.0, 3.1])
def test_voxels_thicker_than_a_slice_are_refused(spacing_mm):
    with pytest.raises(SpinforgeError, match=f"at most 3 mm, a slice's .* got {spacing_mm}"):
        generate_ageing_head("sub-01", seed=0, spacing_mm=spacing_mm)
