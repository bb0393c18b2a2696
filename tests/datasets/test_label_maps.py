"""Own label maps: turned, averaged, centred, named; what does not fit is refused."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from spinforge.datasets.label_maps import LabelMaps, box_average, overlap_weights
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace import KSpaceProduct
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.stored_volumes import stored_volumes
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sampling import Gaussian1D
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue

LABELS = {1: "csf", 2: "gm", 3: "wm", 17: "fat"}


def head(size_mm: float) -> np.ndarray:
    """Nested boxes in (x, y, z) RAS, 160 x 200 x 160 mm, with one eye of fat: front left."""
    shape = tuple(int(mm / size_mm) for mm in (176, 208, 168))
    values = np.zeros(shape, dtype=np.int16)
    for label, margin in ((1, 8), (2, 24), (3, 40)):
        m = int(margin / size_mm)
        values[m : shape[0] - m, m : shape[1] - m, m : shape[2] - m] = label
    edge = (int(mm / size_mm) for mm in (24, 184, 80))
    x, y, z = edge
    n = int(16 / size_mm)
    values[x : x + n, y : y + n, z : z + n] = 17
    return values


def save(folder: Path, values: np.ndarray, size_mm: float, name: str = "anna", codes="RAS") -> None:
    """Store the map with its axes in another order."""
    affine = np.diag([size_mm] * 3 + [1.0])
    affine[:3, 3] = (-50, -60, -70)
    image = nibabel.Nifti1Image(values, affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(tuple(codes))
    )
    folder.mkdir(exist_ok=True)
    nibabel.save(image.as_reoriented(turn), folder / f"{name}.nii.gz")


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SLA"])
def test_every_orientation_gives_the_same_phantom(tmp_path, codes):
    save(tmp_path / "ras", head(8), 8)
    save(tmp_path / "other", head(8), 8, codes=codes)
    one, other = (
        LabelMaps(tmp_path / name, LABELS, spacing_mm=4.0).load("anna") for name in ("ras", "other")
    )
    assert one.memberships.shape == (5, 45, 54, 45)
    assert torch.equal(one.memberships, other.memberships)
    # The eye is on the left and in front.
    fat = one.membership(Tissue.FAT).nonzero().float().mean(0)
    assert fat[0] < 22
    assert fat[1] > 27
    assert other.parameters["stored_orientation"] == codes
    assert one.parameters["corner_mm"] == other.parameters["corner_mm"]


@pytest.mark.parametrize("size_mm", [8.0, 4.0, 2.0, 8 / 3])
def test_volumes_of_tissues_are_kept_whatever_the_voxel(tmp_path, size_mm):
    save(tmp_path / "maps", head(size_mm), size_mm)
    phantom = LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0).load("anna")
    for value, tissue in ((1, Tissue.CSF), (2, Tissue.GREY_MATTER), (17, Tissue.FAT)):
        wanted = (head(size_mm) == value).sum() * size_mm**3
        found = float(phantom.membership(tissue).double().sum()) * 4**3
        assert found == pytest.approx(wanted, rel=1e-5)  # float32 weights
    total = phantom.memberships.sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


def test_finer_maps_give_partial_volumes_and_equal_ones_do_not(tmp_path):
    """One voxel of 2 mm in eight of a 4 mm voxel is an eighth of it."""
    values = np.zeros((20, 20, 20), dtype=np.uint8)
    values[4:16, 4:16, 4:16] = 1
    values[8, 8, 8] = 2
    save(tmp_path / "fine", values, 2)
    fine = LabelMaps(tmp_path / "fine", LABELS, spacing_mm=4.0).load("anna")
    assert fine.membership(Tissue.GREY_MATTER).max() == 0.125
    assert float(fine.membership(Tissue.GREY_MATTER).sum()) == 0.125
    save(tmp_path / "same", values, 4)
    same = LabelMaps(tmp_path / "same", LABELS, spacing_mm=4.0).load("anna")
    assert set(same.memberships.unique().tolist()) == {0, 1}
    assert float(same.membership(Tissue.GREY_MATTER).sum()) == 1


def test_what_is_not_background_is_in_the_middle(tmp_path):
    values = np.zeros((30, 20, 20), dtype=np.uint8)
    values[20:29, 2:12, 3:13] = 3  # 36 x 40 x 40 mm, far from the middle of its file
    save(tmp_path / "maps", values, 4)
    phantom = LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0).load("anna")
    inside = phantom.membership(Tissue.WHITE_MATTER) > 0
    for axis, (count, before) in enumerate(((9, 18), (10, 22), (10, 17))):
        others = tuple(a for a in range(3) if a != axis)
        there = inside.any(others[1]).any(others[0]).nonzero().flatten()
        assert (int(there[0]), len(there)) == (before, count)  # equal margins, to one voxel


def test_weights_are_overlaps():
    """Two source voxels of 3 mm from 1 mm on, under targets of 2 mm."""
    weights = overlap_weights(2, 3.0, 1.0, 2.0, 4)
    assert weights.tolist() == [[0.5, 0], [1, 0], [0, 1], [0, 0.5]]
    whole = torch.ones(2, 2, 2, dtype=torch.bool)
    average = box_average(whole, [weights, weights, weights])
    row = torch.tensor([0.5, 1, 1, 0.5])
    assert torch.equal(average, row[:, None, None] * row[:, None] * row)


def test_unknown_values_are_named(tmp_path):
    values = head(8)
    values[5, 5, 5], values[6, 6, 6] = 40, 41
    save(tmp_path / "maps", values, 8)
    source = LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0)
    with pytest.raises(SpinforgeError, match=r"anna\.nii\.gz holds the values 40, 41, expected"):
        source.check("anna")


def test_what_does_not_fit_or_is_not_there_is_refused(tmp_path):
    source = LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0)
    with pytest.raises(SpinforgeError, match="is no folder"):
        source.subjects()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "._anna.nii.gz").touch()
    with pytest.raises(SpinforgeError, match="no label map in"):
        source.subjects()
    save(tmp_path / "maps", np.ones((20, 30, 20), dtype=np.uint8), 8, "tall")
    with pytest.raises(SpinforgeError, match=r"240\.0 mm long along y, but the field of view is"):
        source.check("tall")
    save(tmp_path / "maps", np.zeros((4, 4, 4), dtype=np.uint8), 8, "empty")
    with pytest.raises(SpinforgeError, match=r"empty\.nii\.gz is background everywhere"):
        source.check("empty")
    (tmp_path / "maps" / "broken.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(SpinforgeError, match=r"broken\.nii\.gz is missing, damaged.*save your own"):
        source.check("broken")
    assert source.subjects() == ["broken", "empty", "tall"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"phantom": "labels", "path": "x"}, "needs `labels`"),
        ({"phantom": "labels", "labels": {1: "csf"}}, "the folder of its NIfTI files"),
        ({"labels": {1: "csf"}}, "belong to phantom labels"),
        ({"phantom": "labels", "path": "x", "labels": {1: "grey"}}, "unknown tissue 'grey'"),
        ({"phantom": "labels", "path": "x", "labels": {0: "csf"}}, "must be background"),
    ],
)
def test_contradictions_are_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        KSpaceProduct.model_validate(content)


def test_own_heads_are_scanned_and_their_images_lie_where_the_maps_did(tmp_path):
    for name in ("anna", "bert", "carl"):
        save(tmp_path / "maps", head(4), 4, name, codes="LPI")
    product = KSpaceProduct(
        phantom="labels",
        path=tmp_path / "maps",
        labels=LABELS,
        spacing_mm=4,
        subjects=Subjects(train=1, validation=1, test=1),
        slices=Slices(thickness_mm=12, count=15),
        sampling=Gaussian1D(acs_lines=4),
    )
    assert KSpaceProduct.model_validate(product.model_dump(mode="json")) == product
    maker = maker_of(product)
    maker.check()
    assert maker.split().everyone == ["anna", "bert", "carl"]
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "anna", store)
    attributes = store.subject_attributes("anna")
    assert attributes["phantom"]["source"] == "labels"
    assert attributes["orientation_verified"] is True
    (stored,) = stored_volumes(store, "anna")
    # White matter's middle is where it is in the file: 44 voxels of 4 mm from -50, and so on.
    voxels = np.argwhere(stored.volume.labels == 3)[:, ::-1]
    middle = nibabel.affines.apply_affine(stored.volume.affine, voxels.mean(0))
    wanted = np.array([-50, -60, -70]) + (np.array([176, 208, 168]) / 4 - 1) / 2 * 4
    # A slice is 12 mm thick and takes the label of what fills most of it.
    np.testing.assert_allclose(middle, wanted, atol=6)
    np.testing.assert_allclose(middle[:2], wanted[:2], atol=1e-9)


def test_the_digest_depends_on_file_and_meaning(tmp_path):
    save(tmp_path / "maps", head(8), 8)
    source = LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0)
    before = source.digest("anna")
    assert LabelMaps(tmp_path / "maps", LABELS, spacing_mm=4.0).digest("anna") == before
    assert (
        LabelMaps(tmp_path / "maps", LABELS | {17: "skin"}, spacing_mm=4.0).digest("anna") != before
    )
    assert LabelMaps(tmp_path / "maps", LABELS, spacing_mm=2.0).digest("anna") != before
    save(tmp_path / "maps", head(8)[::-1].copy(), 8)
    assert source.digest("anna") != before
    assert source.load("anna").digest == source.digest("anna")


def test_a_sound_file_is_read_again_only_when_it_changed(tmp_path, monkeypatch):
    """Also by another object, as every part of a command has its own; not for other labels."""
    save(tmp_path, head(8), 8)
    read = []

    def counted(self, subject):
        read.append(subject)
        return placed(self, subject)

    placed = LabelMaps._placed
    monkeypatch.setattr(LabelMaps, "_placed", counted)
    for _ in range(3):
        LabelMaps(tmp_path, LABELS, spacing_mm=4.0).check("anna")
    assert len(read) == 1
    with pytest.raises(SpinforgeError, match="17"):
        LabelMaps(tmp_path, {1: "csf", 2: "gm", 3: "wm"}, spacing_mm=4.0).check("anna")
    (tmp_path / "anna.nii.gz").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(SpinforgeError, match="anna"):
            LabelMaps(tmp_path, LABELS, spacing_mm=4.0).check("anna")
