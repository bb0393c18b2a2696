"""Real images are never called simulated, nor automatic labels true: exports and cards."""

import json

import pytest
from hand_made_sets import AXES, images_set, longitudinal_set, marked, provenance
from public_miniatures import MINIATURES, isic, mrbrains13
from tiny_images import generated

from spinforge.datasets.card.card import describe_set
from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.datasets.corruption.sets import make_sets
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.export.bids_tree import write_bids
from spinforge.datasets.products.isic import ISICLike, ISICSubjects
from spinforge.datasets.products.mrbrains import MRBrainSLike, MRBrainSSlices, MRBrainSSubjects
from spinforge.datasets.reading.origin import origin_of
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore

LABELS = "derivatives/simseg"


def exported(store, root):
    for _ in write_bids(store, root):
        pass
    return root


def texts(root):
    """All that a BIDS tree says in words, as one string in lower case."""
    files = [p for p in root.rglob("*") if p.suffix in (".md", ".json", ".tsv")]
    return " ".join(" ".join(path.read_text() for path in files).lower().split())


@pytest.fixture
def real(tmp_path) -> tuple[MRBrainSLike, DatasetStore]:
    mrbrains13(tmp_path / "files")
    product = MRBrainSLike(
        product="mrbrains_like",
        path=tmp_path / "files",
        subjects=MRBrainSSubjects(train=2),
        slices=MRBrainSSlices(count=5),
    )
    return product, generated(product, tmp_path / "set.zarr")


def test_a_tree_of_real_images_does_not_call_them_simulated(real, tmp_path):
    _, store = real
    root = exported(store, tmp_path / "bids")
    said = texts(root)
    assert "real images, not simulated: those of mrbrains13" in said
    assert "cite mendrik et al." in said
    assert "published labels" in said
    for wrong in ("simulated images", "made by spinforge", "true label", "(simulated)", "truth"):
        assert wrong not in said
    sidecar = json.loads((root / "sub-training1/anat/sub-training1_T1w.json").read_text())
    assert sidecar["Simulated"] is False
    assert sidecar["SourceCollection"] == "MRBrainS13"
    assert not {"Manufacturer", "SimulationProfile"} & set(sidecar)


def test_corrupted_real_images_say_both(real, tmp_path):
    product, store = real
    content = [{"name": "n", "chain": ["noise"], "percent": [3]}]
    sets = chosen_sets(product, Corruptions.model_validate(content))
    make_sets(product, store, "training-1", sets)
    said = texts(exported(store.within("corrupt/n/3"), tmp_path / "bids"))
    assert "real images, not simulated: those of mrbrains13" in said
    assert "spinforge corrupted them (corrupt/n/3)" in said


def test_simulated_sets_say_so_and_automatic_labels_are_not_the_truth(tmp_path):
    true = texts(exported(images_set(tmp_path / "a.zarr"), tmp_path / "a"))
    assert "simulated images, made by spinforge" in true
    assert "true labels: the simulation's own truth" in true
    infants = longitudinal_set(tmp_path / "b.zarr", labels="EM segmentation")
    root = exported(infants, tmp_path / "b")
    found = texts(root)
    assert "simulated images, made by spinforge" in found
    assert "true label" not in found
    description = json.loads((root / LABELS / "dseg.json").read_text())["Description"]
    assert description.startswith("automatic labels: found in the images by an automatic")


def test_a_tree_of_corrupted_images_still_says_that_sides_are_not_verified(tmp_path):
    """Only the clean subject notes it."""
    store = images_set(tmp_path / "a.zarr", subjects=())
    arrays = {"T1": StoredArray(marked(), AXES)}
    notes = provenance()
    del notes["orientation_verified"]
    store.write_subject("head-000", arrays, notes | {"orientation_verified": False})
    store.within("corrupt/noise/1").write_subject("head-000", arrays, notes)
    said = texts(exported(store.within("corrupt/noise/1"), tmp_path / "b"))
    assert "they may be mirrored" in said


def test_images_of_another_simulator_are_neither_real_nor_ours():
    collection = {"name": "BrainWeb", "cite": "Cocosco et al.", "simulated": True}
    origin = origin_of({"phantom": {"source": "files", "collection": collection}})
    assert (origin.simulated, origin.maker) == (True, "BrainWeb")
    assert "made by Spinforge" not in origin.images


@pytest.mark.parametrize("name", MINIATURES)
def test_every_collection_says_whom_to_cite(tmp_path, name):
    built = MINIATURES[name]
    built.build(tmp_path)
    collection = built.source(tmp_path).load(built.subject).parameters["collection"]
    assert collection["name"].lower().replace("-", "").replace(" ", "").find(name[:5]) >= 0
    assert "et al." in collection["cite"]
    assert collection["simulated"] is False


def test_the_card_of_real_images_cites_their_collection(real):
    card = describe_set(real[1])
    terms = card.facts["Source and terms"]
    assert terms["anatomy"] == "MRBrainS13"
    assert terms["citation"].startswith("Mendrik et al., Comput Intell Neurosci 2015:813696 (2015)")
    assert "The terms of MRBrainS13 are the set's." in terms["citation"]


def test_photographs_name_their_collection_once(tmp_path):
    isic(tmp_path)
    one = ISICSubjects(train=1, validation=1, test=1)
    product = ISICLike(product="isic_like", path=tmp_path, height=24, width=40, subjects=one)
    store = generated(product, tmp_path / "set.zarr")
    attributes = store.subject_attributes("training-000")
    assert attributes["phantom"]["collection"]["name"] == "ISIC 2017"
    assert json.dumps(attributes).count("ISIC 2017") == 1
    assert "Codella" in describe_set(store).facts["Source and terms"]["citation"]
