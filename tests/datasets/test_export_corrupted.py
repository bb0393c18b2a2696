"""Exports of corrupted sets: settings and noise are those of the corrupted scan, not the clean."""

import json

import numpy as np
import pytest
from tiny_kspace import TINY

from spinforge.datasets.corruption.checks import chosen_sets
from spinforge.datasets.corruption.scan_notes import noise_after
from spinforge.datasets.corruption.sets import make_sets
from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.export.bids_tree import write_bids
from spinforge.datasets.export.ismrmrd_header import header_xml
from spinforge.datasets.export.raw_scan import load_raw_scan
from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho

SUBJECT = "head-000"
PRODUCT = TINY.model_copy(
    update={
        "scan": GradientEcho(kind="gradient_echo", variation=0.0),  # TR 18 ms, TE 10 ms, 30 degrees
        "scanner": Scanner(readout=True),
    }
)
CHAINS = [
    {"name": "timing", "chain": [{"kind": "contrast_physics", "level": 2}]},
    {"name": "shift", "chain": [{"kind": "chem_shift", "level": 3}]},
    {"name": "noisy", "chain": [{"kind": "noise_gauss", "percent": 12}]},
    {"name": "blurred", "chain": [{"kind": "blur", "level": 1}, {"kind": "noise", "level": 1}]},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("corrupted") / "set.zarr")
    store.create(PRODUCT.recipe())
    make_subject(PRODUCT, SUBJECT, store)
    make_sets(PRODUCT, store, SUBJECT, chosen_sets(PRODUCT, Corruptions.model_validate(CHAINS)))
    return store


def sidecar(store, root):
    for _ in write_bids(store, root):
        pass
    (path,) = root.glob("sub-*/anat/*_T1w.json")
    return json.loads(path.read_text())


def test_another_timing_is_exported(store, tmp_path):
    group = store.within("corrupt/timing/fixed")
    (step,) = group.subject_attributes(SUBJECT)["history"]["full"]
    factors = step["parameters"]
    assert all(abs(factor - 1) == pytest.approx(0.2) for factor in factors.values())
    tr, te = 0.018 * factors["tr_ms"], 0.010 * factors["te_ms"]
    said, raw = sidecar(group, tmp_path / "bids"), load_raw_scan(group, SUBJECT)
    # Through a float32 array.
    assert (said["RepetitionTime"], said["EchoTime"]) == pytest.approx((tr, te), rel=1e-6)
    assert (raw.tr, raw.te) == pytest.approx((tr, te), rel=1e-6)
    angle = pytest.approx(30 * factors["flip_deg"])
    assert said["FlipAngle"] == angle
    assert raw.sequence["flip_deg"] == angle
    clean = sidecar(store, tmp_path / "clean")
    assert (clean["RepetitionTime"], clean["FlipAngle"]) == (pytest.approx(0.018), 30)
    assert said["NoiseStandardDeviation"] == pytest.approx(clean["NoiseStandardDeviation"])


def test_a_narrow_bandwidth_is_exported(store):
    clean = load_raw_scan(store, SUBJECT)
    narrow = load_raw_scan(store.within("corrupt/shift/fixed"), SUBJECT)
    assert (clean.bandwidth_hz_per_px, narrow.bandwidth_hz_per_px) == (250, 120)


def test_added_noise_is_exported_as_it_is_measured(store, tmp_path):
    group = store.within("corrupt/noisy/fixed")
    clean, noisy = load_raw_scan(store, SUBJECT), load_raw_scan(group, SUBJECT)
    added = 0.12 * float(store.read(SUBJECT, "wm_signal")[0])
    assert noisy.noise_std == pytest.approx(np.hypot(clean.noise_std, added))
    difference = (noisy.kspace - clean.kspace).view(np.float32)
    # 2 x 14 x 45 x 54 samples: known to 1 / sqrt(2 n) = 0.27 %, four of those.
    expected = np.sqrt(noisy.noise_std**2 - clean.noise_std**2)
    assert difference.std() == pytest.approx(expected, rel=0.011)
    said = sidecar(group, tmp_path / "bids")
    assert said["NoiseStandardDeviation"] == pytest.approx(noisy.noise_std)


def test_noise_that_was_blurred_has_no_one_level(store, tmp_path):
    group = store.within("corrupt/blurred/fixed")
    raw = load_raw_scan(group, SUBJECT)
    assert raw.noise_std is None
    assert "<name>sigma</name>" not in header_xml(raw)
    assert "<name>sigma</name>" in header_xml(load_raw_scan(store, SUBJECT))
    assert "NoiseStandardDeviation" not in sidecar(group, tmp_path / "bids")


@pytest.mark.parametrize(
    ("clean", "steps", "expected"),
    [
        (3.0, [("noise", {"std": 4.0})], 5.0),
        (3.0, [("noise", {})], 3.0),  # of 0 %
        (3.0, [("contrast_physics", {"tr_ms": 1.1})], 3.0),
        (3.0, [("inu", {"percent": 20}), ("noise", {"std": 4.0})], None),
        (0.0, [("inu", {"percent": 20}), ("noise", {"std": 4.0})], 4.0),
        (0.0, [("noise", {"std": 4.0}), ("inu", {"percent": 20})], None),
    ],
)
def test_noise_adds_in_squares_until_something_else_changes_it(clean, steps, expected):
    history = [{"id": kind, "parameters": parameters} for kind, parameters in steps]
    assert noise_after(clean, history) == expected


def test_images_that_were_scanned_again_say_how(tmp_path):
    product = CrdnBrainWeb(product="crdn_brainweb", spacing_mm=4)
    store = DatasetStore(tmp_path / "set.zarr", "images")
    store.create(product.recipe())
    make_subject(product, SUBJECT, store)
    content = Corruptions.model_validate([CHAINS[0]])
    make_sets(product, store, SUBJECT, chosen_sets(product, content))
    group = store.within("corrupt/timing/fixed")
    factors = group.subject_attributes(SUBJECT)["history"]["T1"][0]["parameters"]
    said = sidecar(group, tmp_path / "bids")
    expected = (0.018 * factors["tr_ms"], 0.010 * factors["te_ms"], 30 * factors["flip_deg"])
    found = (said["RepetitionTime"], said["EchoTime"], said["FlipAngle"])
    assert found == pytest.approx(expected)
