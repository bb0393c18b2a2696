"""Corruption sets of k-space: same bytes, whole or not there, clean where nothing happens."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.corruption import checks as corruption_checks
from spinforge.datasets.corruption.checks import available_kinds, check_sets, chosen_sets
from spinforge.datasets.corruption.sets import (
    CorruptedStore,
    is_done,
    make_sets,
    sets_digest,
    sets_in,
)
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.corruption.corrupt import KINDS
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import Noise
from spinforge.simulation.scanner import Scanner

SUBJECT = "head-000"


@pytest.fixture
def store(tiny_store, tmp_path) -> DatasetStore:
    shutil.copytree(tiny_store.path, tmp_path / "set.zarr")
    return DatasetStore(tmp_path / "set.zarr")


def sets_of(content, product=TINY):
    return chosen_sets(product, Corruptions.model_validate(content))


def made(store, content, product=TINY, **options):
    sets = sets_of(content, product)
    make_sets(product, store, SUBJECT, sets, **options)
    return sets


def test_level_0_is_the_clean_set_to_the_bit(store):
    sets = made(store, {"preset": "all", "levels": [0]})
    assert len(sets) == 15  # of nothing, there is even what k-space cannot have
    clean = store.subject_attributes(SUBJECT)["sha256"]["full"]
    for chosen in sets:
        corrupted = CorruptedStore(store, chosen.name, 0)
        assert corrupted.subject_attributes(SUBJECT)["sha256"]["full"] == clean
        assert corrupted.read(SUBJECT, "full").tobytes() == store.read(SUBJECT, "full").tobytes()


def test_every_array_says_how_it_came_to_be(store):
    (chosen,) = made(store, [{"name": "two", "chain": ["motion", "noise_gauss"], "levels": [2]}])
    notes = store.within(chosen.group).subject_attributes(SUBJECT)
    clean = store.subject_attributes(SUBJECT)
    assert [(e["id"], e["level"], e["rng_path"]) for e in notes["history"]["full"]] == [
        ("motion", 2, f"corrupt/{SUBJECT}/full/0-motion/level-2"),
        ("noise_gauss", 2, f"corrupt/{SUBJECT}/full/1-noise_gauss/level-2"),
    ]
    assert notes["history"]["full"][1]["parameters"]["percent"] == 10
    assert notes["source"]["content_sha256"] == clean["content_sha256"]
    assert notes["source"]["sha256"]["full"] == clean["sha256"]["full"]
    assert [link["kind"] for link in notes["chain"]] == ["motion", "noise_gauss"]
    assert (notes["config_hash"], notes["root_seed"]) == (chosen.config_hash, 0)


def test_noise_is_a_percentage_of_the_scans_own_white_matter(store):
    """14 x 45 x 54 samples: the standard deviation is known to 1 / sqrt(4 n) = 0.3 %."""
    (chosen,) = made(store, [{"name": "n", "chain": ["noise_gauss"], "percent": [12]}])
    added = store.within(chosen.group).read(SUBJECT, "full") - store.read(SUBJECT, "full")
    expected = 0.12 * float(store.read(SUBJECT, "wm_signal")[0])
    assert added.real.std() == pytest.approx(expected, rel=0.015)
    assert added.imag.std() == pytest.approx(expected, rel=0.015)


def test_a_field_multiplies_the_image_by_its_range_over_the_brain(store):
    """Within single precision of two transforms, where the noisy image is far from 0."""
    (chosen,) = made(store, [{"name": "f", "chain": ["inu"], "percent": [40]}])
    clean, shaded = (
        kspace_to_image(torch.from_numpy(s.read(SUBJECT, "full")))[:, 0].numpy()
        for s in (store, store.within(chosen.group))
    )
    brain = store.read(SUBJECT, "target") > 0
    ratio = (shaded / clean)[brain & (np.abs(clean) > 0.05)]
    assert np.abs(ratio.imag).max() < 1e-4
    assert ratio.real.min() == pytest.approx(0.8, abs=0.02)
    assert ratio.real.max() == pytest.approx(1.2, abs=0.02)
    assert ratio.real.min() >= 0.8 - 1e-4
    assert ratio.real.max() <= 1.2 + 1e-4


def test_the_same_bytes_in_any_order_and_under_any_name(store, tmp_path):
    content = ["motion", "spike", {"name": "again", "chain": ["spike"]}]
    sets = sets_of({"sets": content, "levels": [1, 3]})
    make_sets(TINY, store, SUBJECT, sets)
    shutil.copytree(store.path, tmp_path / "other.zarr", ignore=shutil.ignore_patterns("corrupt"))
    other = DatasetStore(tmp_path / "other.zarr")
    for chosen in reversed(sets):
        make_sets(TINY, other, SUBJECT, [chosen])
    assert sets_digest(other, sets, [SUBJECT]) == sets_digest(store, sets, [SUBJECT])
    digests = [store.within(f"corrupt/{n}/3").digest([SUBJECT]) for n in ("spike", "again")]
    assert digests[0] == digests[1]


def test_what_is_complete_is_not_made_again(store):
    (chosen,) = made(store, [{"name": "ghost", "chain": ["ghost"], "levels": [1]}])
    path = store.within(chosen.group).subject_path(SUBJECT)
    before = (path / "zarr.json").stat().st_ino
    made(store, [{"name": "ghost", "chain": ["ghost"], "levels": [1]}])
    assert (path / "zarr.json").stat().st_ino == before
    assert is_done(store, SUBJECT, chosen)
    assert not is_done(store, "head-001", chosen)


def test_other_settings_are_refused_and_overwrite_replaces_them(store):
    (old,) = made(store, [{"name": "a", "chain": ["ghost"], "levels": [1]}])
    new = [{"name": "a", "chain": ["blur"], "levels": [1]}]
    with pytest.raises(SpinforgeError) as error:
        made(store, new)
    (wanted,) = sets_of(new)
    for text in (old.config_hash, wanted.config_hash, "spinforge corrupt", "--overwrite"):
        assert text in str(error.value)
    made(store, new, overwrite=True)
    assert is_done(store, SUBJECT, wanted)


def test_a_changed_clean_subject_is_noticed(store):
    content = [{"name": "a", "chain": ["ghost"], "levels": [1]}]
    (chosen,) = made(store, content)
    place = store.subject_path(SUBJECT) / "zarr.json"
    metadata = json.loads(place.read_text())
    metadata["attributes"]["content_sha256"] = "0" * 64
    place.write_text(json.dumps(metadata))
    with pytest.raises(SpinforgeError, match="other corruptions or clean images"):
        is_done(store, SUBJECT, chosen)
    made(store, content, overwrite=True)
    assert is_done(store, SUBJECT, chosen)


def test_a_corrupted_store_reads_the_rest_from_the_clean_set(store):
    made(store, [{"name": "a", "chain": ["ghost"], "levels": [1]}])
    corrupted = CorruptedStore(store, "a", 1)
    np.testing.assert_array_equal(corrupted.read(SUBJECT, "target"), store.read(SUBJECT, "target"))
    assert not np.array_equal(corrupted.read(SUBJECT, "full"), store.read(SUBJECT, "full"))
    with pytest.raises(SpinforgeError, match="no complete subject 'head-001'"):
        corrupted.read("head-001", "target")


def test_sets_can_be_found_and_walked(store):
    sets = sets_of({"sets": ["blur", {"name": "n", "chain": ["noise_gauss"], "percent": [20, 5]}]})
    assert sets_in(store) == {}
    make_sets(TINY, store, SUBJECT, sets)
    assert sets_in(store) == {"blur": ["1", "2", "3", "4", "5"], "n": ["5", "20"]}


IMPERFECT = TINY.model_copy(update={"scanner": Scanner(profile="seranet")})


def test_all_is_what_goes_with_the_product():
    """An ideal scanner shows neither off-resonance nor bandwidth."""
    corruptions = Corruptions.model_validate("all")
    assert set(KINDS) - set(available_kinds(TINY, corruptions)) == {"b0", "chem_shift"}
    assert available_kinds(IMPERFECT, corruptions) == KINDS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chem_shift", "set chem_shift: .* add readout: true"),
        ("b0", "set b0: corruption b0 needs off-resonance"),
        (
            [{"name": "a", "chain": [{"kind": "inu", "shape": "by_contrast"}]}],
            "only for T1, T2, PD",
        ),
        ([], "the study says no corruptions"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(store, content, message):
    corruptions = Corruptions.model_validate(
        {"sets": [content] if isinstance(content, str) else content, "subjects": "train"}
    )
    with pytest.raises(SpinforgeError, match=message):
        check_sets(TINY, store, corruptions)
    assert not (store.path / "corrupt").exists()


def test_another_scan_keeps_the_noise_and_changes_the_echo(store):
    """TE and TR of the other scan are the clean subject's own times the drawn factors."""
    chain = ["contrast_physics", {"kind": "gibbs", "level": 0}]
    made(store, [{"name": "t", "chain": chain, "levels": [5]}])
    corrupted = CorruptedStore(store, "t", 5)
    physics, gibbs = corrupted.subject_attributes(SUBJECT)["history"]["full"]
    assert (physics["id"], gibbs["rng_path"].split("/")[3]) == ("contrast_physics", "1-gibbs")
    for name in ("te", "tr"):
        np.testing.assert_allclose(
            corrupted.read(SUBJECT, name),
            store.read(SUBJECT, name) * physics["parameters"][f"{name}_ms"],
            rtol=1e-6,
        )
    # Air holds nothing but noise: of 20 000 samples, its std is known to 0.5 %.
    air = np.abs(store.read(SUBJECT, "image_clean")) < 1e-4
    image = kspace_to_image(torch.from_numpy(corrupted.read(SUBJECT, "full")))[:, 0].numpy()
    assert air.sum() > 10_000
    sigma = float(store.read(SUBJECT, "noise_sigma")[0])
    assert image[air].real.std() == pytest.approx(sigma, rel=0.03)


class OnlyMakes:
    """A maker that cannot scan again, as that of photographs."""

    group = "kspace"
    classes = ()

    def split(self):
        return Split(train=(SUBJECT,), validation=(), test=())

    def nothing(self, *_):
        """The rest of a maker, which nobody asks here."""

    check = check_settings = pending_downloads = finish = make = nothing
    source_digest = expected_bytes = nothing


def test_other_scans_are_refused_where_there_is_no_phantom(store, monkeypatch):
    monkeypatch.setattr(corruption_checks, "maker_of", lambda product: OnlyMakes())
    corruptions = Corruptions.model_validate("contrast_physics")
    with pytest.raises(SpinforgeError, match=r"set contrast_physics: .* not simulated from a phan"):
        check_sets(TINY, store, corruptions)
    assert "contrast_physics" not in available_kinds(TINY, corruptions)


@pytest.mark.parametrize("kind", [ZeroFilledSlices, StreamedSlices])
def test_a_network_can_be_shown_a_corrupted_set(store, kind):
    made(store, [{"name": "a", "chain": ["ghost"], "levels": [1]}])
    how = {"sampling": TINY.sampling, "masks": "fixed", "content": "kspace"}
    clean = kind(store.path, (SUBJECT,), **how)
    shown = kind(store.path, (SUBJECT,), variant="corrupt/a/1", **how)
    full = CorruptedStore(store, "a", 1).read(SUBJECT, "full")
    np.testing.assert_array_equal(shown.slice_kspace(3).numpy(), full[3])
    np.testing.assert_array_equal(shown.slice_target(3).numpy(), clean.slice_target(3).numpy())
    assert shown.digest != clean.digest
    with pytest.raises(SpinforgeError, match="not to corrupt/a/1"):
        kind(store.path, (SUBJECT,), variant="corrupt/a/1", noise_on_read=Noise(), **how)
