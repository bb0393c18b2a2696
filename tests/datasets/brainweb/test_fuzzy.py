"""Phantoms of the twenty from their fuzzy volumes."""

import numpy as np
import pytest
import torch
from minc import write_minc

from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.datasets.phantoms import BrainWeb20
from spinforge.datasets.products.kspace import KSpaceProduct, phantom_source
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import coarsened
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

SHAPE = (6, 10, 8)  # z, y, x
NAMES = ("bck", "csf", "gry", "wht", "fat", "mus", "m-s", "skl", "ves", "fat2", "dura", "mrw")
# In 255ths: what BrainWeb's bytes hold.
VOXELS = np.moveaxis(np.random.default_rng(0).multinomial(255, [1 / 12] * 12, SHAPE), -1, 0)


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    monkeypatch.setattr(brainweb, "SHAPE_ZYX", SHAPE)


@pytest.fixture
def folder(tmp_path):
    for name, voxels in zip(NAMES, VOXELS, strict=True):
        path = tmp_path / f"subject04_{name}_v.mnc.gz"
        write_minc(path, voxels.astype(np.uint8), real_max=1.0, lacking=4)
    return tmp_path


def load(folder, spacing_mm=1.0):
    return BrainWeb20(folder, fuzzy=True, spacing_mm=spacing_mm).load("subject04")


def test_every_fraction_goes_to_its_tissue_averaged_over_eight_voxels(folder):
    phantom = load(folder)
    assert phantom.memberships.dtype == torch.float32
    assert phantom.tissues == HEAD_TISSUES
    fractions = VOXELS.transpose(0, 3, 2, 1)[:, :6, :8, :4] / 255  # without the last two voxels
    blocks = fractions.reshape(12, 3, 2, 4, 2, 2, 2).mean((2, 4, 6))
    np.testing.assert_allclose(phantom.memberships, blocks, rtol=0, atol=1e-6)
    np.testing.assert_allclose(phantom.memberships.sum(0), 1, rtol=0, atol=1e-6)
    assert phantom.parameters["model"] == "fuzzy"
    assert phantom.parameters["max_abs_sum_error"] < 1e-6


def test_half_millimetre_voxels_are_the_volumes_own_and_average_to_the_others(folder):
    fine = load(folder, 0.5)
    assert (fine.memberships.dtype, fine.memberships.shape) == (torch.float32, (12, 6, 8, 4))
    expected = VOXELS.transpose(0, 3, 2, 1)[:, :6, :8, :4] / 255
    np.testing.assert_allclose(fine.memberships, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        coarsened(fine, 2).memberships, load(folder).memberships, rtol=0, atol=1e-6
    )


def test_stretched_volumes_are_scaled_to_sum_to_one_and_empty_ones_are_air(tmp_path):
    """Raw volumes fill their range whatever they hold, here up to 2 in every voxel."""
    voxels = np.zeros((12, *SHAPE), dtype=np.uint8)
    voxels[[Tissue.GREY_MATTER, Tissue.WHITE_MATTER], :, 4:] = 255
    for name, volume in zip(NAMES, voxels, strict=True):
        (tmp_path / f"subject04_{name}_v.rawb").write_bytes(volume.tobytes())
    phantom = load(tmp_path)
    assert phantom.memberships[:4, 0, 2, 0].tolist() == [0, 0, 0.5, 0.5]
    assert phantom.memberships[:4, 0, 0, 0].tolist() == [1, 0, 0, 0]
    assert phantom.parameters["max_abs_sum_error"] == 1


def test_the_digest_is_that_of_all_twelve_files(folder):
    source = BrainWeb20(folder, fuzzy=True)
    before = source.digest("subject04")
    assert load(folder).digest == before
    seen = {before}
    for name in NAMES:
        path = folder / f"subject04_{name}_v.mnc.gz"
        path.write_bytes(path.read_bytes() + b"x")
        seen.add(source.digest("subject04"))
    assert len(seen) == 1 + len(NAMES)


def test_missing_volumes_are_named_with_the_command_that_gets_them(folder):
    for name in ("m-s", "mrw"):
        (folder / f"subject04_{name}_v.mnc.gz").unlink()
    source = BrainWeb20(folder, fuzzy=True)
    # Counted as there, so that what is missing is said.
    assert source.subjects() == ["subject04"]
    message = (
        r"lacks 2 of the 12 fuzzy volumes subject04_\*_v: m-s, mrw.*"
        r"download brainweb20 --fuzzy --subject subject04 --to"
    )
    for use in (source.check, source.digest, source.load):
        with pytest.raises(SpinforgeError, match=message):
            use("subject04")


def test_a_crisp_model_alone_is_no_fuzzy_one(tmp_path):
    write_minc(tmp_path / "subject04_crisp_v.mnc.gz", np.ones(SHAPE, dtype=np.uint8))
    assert BrainWeb20(tmp_path, fuzzy=True).subjects() == ["subject04"]
    with pytest.raises(SpinforgeError, match="lacks 12 of the 12 fuzzy volumes"):
        BrainWeb20(tmp_path, fuzzy=True).check("subject04")
    (tmp_path / "subject04_crisp_v.mnc.gz").unlink()
    with pytest.raises(SpinforgeError, match="lacks 12 of the 12 fuzzy volumes subject04"):
        BrainWeb20(tmp_path, fuzzy=True).subjects()


def test_fuzzy_volumes_alone_are_no_crisp_model(folder):
    with pytest.raises(SpinforgeError, match=r"subject04_crisp_v.mnc.gz is missing"):
        BrainWeb20(folder).subjects()


def test_damage_to_any_volume_is_found_before_any_work(folder):
    path = folder / "subject04_mrw_v.mnc.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SpinforgeError, match=r"subject04_mrw_v.mnc.gz is truncated or damaged"):
        BrainWeb20(folder, fuzzy=True).check("subject04")


@pytest.mark.parametrize("supersample", [1, 2])
def test_a_study_says_fuzzy_and_its_hash_depends_on_it(folder, supersample):
    product = KSpaceProduct(
        phantom="brainweb20", path=folder, fuzzy=True, scanner=Scanner(supersample=supersample)
    )
    phantom = phantom_source(product).load("subject04")
    assert phantom.spacing_mm == 1 / supersample
    assert phantom.parameters["model"] == "fuzzy"
    assert product.config_hash != product.model_copy(update={"fuzzy": False}).config_hash


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"phantom": "procedural"}, "fuzzy belongs to phantom brainweb20, not to procedural"),
        ({"phantom": "brainweb0", "path": "x"}, "not to brainweb0; brainweb0 takes its fuzzy"),
        ({"phantom": "brainweb20", "path": "x", "download": True}, "download brainweb20 --fuzzy"),
    ],
)
def test_contradictions_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        KSpaceProduct.model_validate(content | {"fuzzy": True})
