"""Subject 0 becomes a phantom: its labels mapped, its fuzzy volumes summing to one."""

import gzip

import numpy as np
import pytest
import torch
from minc import write_minc
from real_data import BRAINWEB0, needs_brainweb0
from scipy.io import loadmat, savemat

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.phantoms import BrainWeb0, PhantomSource
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import target_labels
from spinforge.simulation.tissue import Tissue

SHAPE = (4, 6, 5)  # z, y, x
CROPPED = (3, 5, 4)
# BrainWeb's table of discrete labels -> ours: background, CSF, GM, WM, fat, muscle/skin, skin,
# skull, glial (as GM), connective, lesion.
EXPECTED = np.array([0, 1, 2, 3, 4, 6, 17, 7, 2, 18, 12])
OWN_TISSUES = tuple(Tissue(code) for code in (0, 1, 2, 3, 4, 6, 17, 7, 18))
LABELS = np.random.default_rng(0).permutation(np.arange(120) % 10).reshape(SHAPE).astype(np.uint8)
LESIONS = np.random.default_rng(1).permutation(np.arange(120) % 11).reshape(SHAPE).astype(np.uint8)
NAMES = ("bck", "csf", "gry", "wht", "fat", "m+s", "skn", "skl", "gli", "mit", "wml")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(brainweb_subject0, "SHAPE_ZYX", SHAPE)
    monkeypatch.setattr(brainweb_subject0, "_CROPPED_SHAPE_ZYX", CROPPED)


def write_crisp(folder, labels=LABELS, model="normal", suffix=".mnc.gz"):
    path = folder / f"phantom_1.0mm_{model}_crisp{suffix}"
    if suffix == ".mnc.gz":
        write_minc(path, labels, step=1.0)
    else:
        content = labels.astype("u1" if "rawb" in suffix else ">u2").tobytes()
        path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    return path


def write_fuzzy(folder, fractions, model="normal"):
    for name, fraction in zip(NAMES, fractions, strict=False):
        voxels = np.rint(255 * fraction).astype(np.uint8)
        path = folder / f"phantom_1.0mm_{model}_{name}.mnc.gz"
        write_minc(path, voxels, real_max=1.0, step=1.0, lacking=4)


def random_fractions(count: int) -> np.ndarray:
    """Multiples of 1/255 that sum to one."""
    rng = np.random.default_rng(2)
    return np.moveaxis(rng.multinomial(255, [1 / count] * count, SHAPE), -1, 0) / 255


@pytest.mark.parametrize("suffix", [".mnc.gz", ".rawb.gz", ".raws"])
@pytest.mark.parametrize("glial", ["gm", "background"])
def test_labels_are_mapped_to_tissues(small, tmp_path, suffix, glial):
    path = write_crisp(tmp_path, suffix=suffix)
    phantom = BrainWeb0(tmp_path, glial=glial).load("normal")
    expected = EXPECTED.copy()
    expected[8] = Tissue.GREY_MATTER if glial == "gm" else Tissue.BACKGROUND
    np.testing.assert_array_equal(phantom.labels, expected[LABELS.transpose(2, 1, 0)])
    np.testing.assert_array_equal(phantom.memberships.unique(), [0, 1])
    np.testing.assert_array_equal(phantom.memberships.sum(0), 1)
    assert phantom.tissues == OWN_TISSUES
    assert phantom.spacing_mm == 1
    assert phantom.parameters == {"model": "crisp", "glial": glial}
    assert phantom.digest == BrainWeb0(tmp_path, glial=glial).digest("normal")
    other = "background" if glial == "gm" else "gm"
    assert phantom.digest != BrainWeb0(tmp_path, glial=other).digest("normal")
    path.write_bytes(path.read_bytes() + b"x")
    assert phantom.digest != BrainWeb0(tmp_path, glial=glial).digest("normal")


@pytest.mark.parametrize("model", ["msles1", "msles2", "msles3"])
def test_lesions_are_a_tissue_of_their_own(small, tmp_path, model):
    write_crisp(tmp_path, LESIONS, model)
    phantom = BrainWeb0(tmp_path).load(model)
    assert phantom.tissues == (*OWN_TISSUES, Tissue.LESION)
    lesion = LESIONS.transpose(2, 1, 0) == 10
    np.testing.assert_array_equal(phantom.membership(Tissue.LESION), lesion)
    np.testing.assert_array_equal(phantom.labels, EXPECTED[LESIONS.transpose(2, 1, 0)])
    # A lesion is no CSF, GM or WM to be segmented.
    assert not target_labels(phantom.labels)[torch.from_numpy(lesion)].any()


def test_the_normal_model_has_no_lesions(small, tmp_path):
    write_crisp(tmp_path, LESIONS)
    with pytest.raises(SpinforgeError, match="holds values 0 to 10, expected the integer labels"):
        BrainWeb0(tmp_path).load("normal")


@pytest.mark.parametrize("name", ["normal_crisp_1mm_jemris.mat", "MNIbrain.mat"])
def test_jemris_model_is_the_cropped_one(small, tmp_path, name):
    labels = LABELS[:3, :5, :4].transpose(2, 1, 0)
    savemat(tmp_path / name, {"BRAIN": labels.astype(float)}, do_compression=True)
    source = BrainWeb0(tmp_path)
    assert source.subjects() == ["normal"]
    source.check("normal")
    np.testing.assert_array_equal(source.load("normal").labels, EXPECTED[labels])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 4)), r"BRAIN has shape \(4, 5, 4\), expected \(x, y, z\) = \(5, 6, 4\)"),
        (np.linspace(0, 9, 60).reshape(4, 5, 3), "holds values 0 to 9, expected the integer"),
        (np.arange(60.0).reshape(4, 5, 3), "holds values 0 to 59, expected the integer"),
        (np.full((4, 5, 3), np.nan), "holds values nan to nan, expected the integer"),
    ],
    ids=["shape", "fractions", "labels", "nan"],
)
def test_other_mat_files_are_refused(small, tmp_path, array, message):
    savemat(tmp_path / "MNIbrain.mat", {"BRAIN": array})
    with pytest.raises(SpinforgeError, match=message):
        BrainWeb0(tmp_path).check("normal")


@pytest.mark.parametrize(("model", "count"), [("normal", 10), ("msles2", 11)])
def test_fuzzy_volumes_become_memberships(small, tmp_path, model, count):
    fractions = random_fractions(count)
    write_fuzzy(tmp_path, fractions, model)
    write_crisp(tmp_path, np.minimum(LABELS, 9), model)  # fuzzy volumes go first
    phantom = BrainWeb0(tmp_path).load(model)
    for code in phantom.tissues:
        expected = fractions[EXPECTED[:count] == code].sum(0).transpose(2, 1, 0)
        # Rounding of float32 sums.
        np.testing.assert_allclose(phantom.membership(code), expected, atol=1e-6)
    assert phantom.parameters["model"] == "fuzzy"
    assert phantom.parameters["max_abs_sum_error"] < 1e-6
    assert phantom.digest == BrainWeb0(tmp_path).digest(model)


def test_stretched_raw_volumes_are_made_to_sum_to_one(small, tmp_path):
    """Each reaches 255 by its own factor, above a floor of 2; air has no volume at all."""
    fractions = random_fractions(10)
    fractions[:, 0, 0, 0] = 0
    for name, fraction in zip(NAMES, fractions, strict=False):
        voxels = 2 + np.rint(253 * fraction / fraction.max())
        voxels[0, 0, 0] = 2
        (tmp_path / f"phantom_1.0mm_normal_{name}.rawb").write_bytes(voxels.astype("u1").tobytes())
    phantom = BrainWeb0(tmp_path).load("normal")
    # Eleven float32 additions.
    np.testing.assert_allclose(phantom.memberships.sum(0), 1, atol=1e-6)
    assert phantom.memberships[0, 0, 0, 0] == 1
    assert phantom.parameters["max_abs_sum_error"] > 0.1


def test_the_other_name_of_muscle_and_skin_counts(small, tmp_path):
    write_fuzzy(tmp_path, random_fractions(10))
    path = tmp_path / "phantom_1.0mm_normal_m+s.mnc.gz"
    path.rename(tmp_path / "phantom_1.0mm_normal_m-s.mnc.gz")
    assert BrainWeb0(tmp_path).load("normal").parameters["model"] == "fuzzy"


def test_half_a_fuzzy_model_is_not_silently_the_crisp_one(small, tmp_path):
    write_crisp(tmp_path)
    write_fuzzy(tmp_path, random_fractions(10)[:7])
    with pytest.raises(SpinforgeError, match=r"only 7 of the 10 .*missing: skl, gli, mit"):
        BrainWeb0(tmp_path).check("normal")


def test_the_source_lists_checks_and_loads_what_is_there(small, tmp_path):
    write_crisp(tmp_path, LESIONS, "msles3")
    path = write_crisp(tmp_path)
    source = BrainWeb0(tmp_path)
    assert isinstance(source, PhantomSource)
    assert source.subjects() == ["msles3", "normal"]
    source.check("normal")
    assert source.digest("normal") == source.load("normal").digest
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SpinforgeError, match=r"normal_crisp.mnc.gz is truncated or damaged"):
        source.check("normal")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(SpinforgeError, match=r"nowhere is not a folder.*download brainweb0 --to"):
        BrainWeb0(tmp_path / "nowhere").subjects()
    with pytest.raises(SpinforgeError, match=r"normal_crisp.mnc.gz is missing.*download"):
        BrainWeb0(tmp_path).subjects()
    with pytest.raises(SpinforgeError, match=r"msles1_crisp.mnc.gz is missing.*download msles1"):
        BrainWeb0(tmp_path).load("msles1")
    with pytest.raises(SpinforgeError, match="'subject04' is none of BrainWeb's models: normal"):
        BrainWeb0(tmp_path).load("subject04")


@needs_brainweb0
def test_real_subject_0_has_brainwebs_volumes():
    phantom = BrainWeb0(BRAINWEB0).load("normal")
    counts = phantom.memberships.double().sum((1, 2, 3)).int().tolist()
    # Counts of the cropped model: CSF, GM with 5987 glial voxels, WM, fat, then muscle/skin, skin,
    # skull and connective.
    assert counts[1:5] == [371_945, 902_912 + 5_987, 674_777, 145_101]
    assert counts[5:] == [616_200, 721_034, 362_561, 297_860]
    assert phantom.memberships.shape == (9, 180, 216, 180)


@needs_brainweb0
def test_real_mat_file_is_read_as_scipy_reads_it():
    path = BRAINWEB0 / "normal_crisp_1mm_jemris.mat"
    labels = brainweb_subject0.read_crisp(path, "normal")
    np.testing.assert_array_equal(labels, loadmat(path)["BRAIN"])
