"""Products of images that are simulated are scanned again; what is no scan is not."""

import numpy as np
import pytest

from spinforge.datasets.corruption.checks import available_kinds, check_sets, chosen_sets
from spinforge.datasets.corruption.sets import CorruptedStore, make_sets
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb
from spinforge.datasets.products.isic import ISICLike
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.corruption.corrupt import KINDS
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

HEAD = CrdnBrainWeb(product="crdn_brainweb", spacing_mm=4)
SUBJECT = "head-000"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("crdn") / "set.zarr", "images")
    store.create(HEAD.recipe())
    make_subject(HEAD, SUBJECT, store)
    return store


def test_t1_with_other_timing_is_that_of_the_signal_equation(store):
    """The brightest white matter is pure: Ernst's signal at the drawn TR, TE and flip angle."""
    corruptions = Corruptions.model_validate("contrast_physics")
    check_sets(HEAD, store, corruptions)
    make_sets(HEAD, store, SUBJECT, chosen_sets(HEAD, corruptions)[-1:])
    corrupted = CorruptedStore(store, "contrast_physics", 5)
    (entry,) = corrupted.subject_attributes(SUBJECT)["history"]["T1"]
    factors = entry["parameters"]
    tissue = TISSUE_SETS["brainweb_1p5T"].properties[Tissue.WHITE_MATTER]
    tr, te = 0.018 * factors["tr_ms"], 0.010 * factors["te_ms"]
    angle = np.radians(30 * factors["flip_deg"])
    e1 = np.exp(-tr / tissue.t1)
    expected = tissue.proton_density * np.sin(angle) * (1 - e1) / (1 - e1 * np.cos(angle))
    expected *= np.exp(-te / tissue.t2_star)
    chunks = [s.open_subject(SUBJECT)["T1"].chunks for s in (store, corrupted)]
    assert chunks[0] == chunks[1]
    clean, changed = (s.read(SUBJECT, "T1") for s in (store, corrupted))
    pure = np.isclose(clean, store.subject_attributes(SUBJECT)["reference_signal"]["T1"], rtol=1e-5)
    assert pure.sum() > 20
    np.testing.assert_allclose(np.median(changed[pure]), expected, rtol=1e-4)


def test_brainwebs_simulator_has_no_off_resonance(store):
    corruptions = Corruptions.model_validate("all")
    assert set(KINDS) - set(available_kinds(HEAD, corruptions)) == {"b0", "chem_shift"}
    with pytest.raises(SpinforgeError, match="set b0: corruption b0 needs off-resonance"):
        check_sets(HEAD, store, Corruptions.model_validate("b0"))


def test_photographs_are_not_scanned_again():
    kinds = available_kinds(ISICLike(product="isic_like"), Corruptions.model_validate("all"))
    assert set(KINDS) - set(kinds) == {"contrast_physics", "b0", "chem_shift"}
