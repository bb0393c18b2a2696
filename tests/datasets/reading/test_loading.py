"""What a network sees of a stored k-space set."""

import numpy as np
import pytest
import torch
from tiny_kspace import TINY

from spinforge.datasets.reading.loading import ZeroFilledSlices, slices_fingerprint
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.reconstruction import intensity_scale, zero_filled


def slices_of(store, masks, **options):
    subjects = ("head-000", "head-001")
    return ZeroFilledSlices(
        store.path, subjects, sampling=TINY.sampling, masks=masks, **options
    )  # fmt: skip


def test_items_are_zero_filled_and_scaled(tiny_store):
    data = slices_of(tiny_store, "fixed")
    assert len(data) == 28
    item = data[15]
    assert (item["subject"], item["slice"]) == ("head-001", 1)
    kspace = torch.from_numpy(tiny_store.read("head-001", "full")[1, 0])
    mask = torch.from_numpy(tiny_store.read("head-001", "masks/fixed")[1])
    image = zero_filled(kspace, mask)
    expected = (
        torch.stack((image.real, image.imag)) / tiny_store.read("head-001", "scale")[1].item()
    )
    torch.testing.assert_close(item["image"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(item["target"], tiny_store.read("head-001", "target")[1])


def test_scale_is_the_99th_percentile_of_the_magnitude():
    magnitude = torch.arange(1, 101, dtype=torch.float32).reshape(10, 10)
    assert intensity_scale(torch.polar(magnitude, magnitude)).item() == pytest.approx(99)


def test_fixed_masks_stay_fresh_masks_change_with_the_epoch(tiny_store):
    fixed, fresh = slices_of(tiny_store, "fixed"), slices_of(tiny_store, "fresh", seed=3)
    first = [fixed.line_mask(0), fresh.line_mask(0)]
    for data in (fixed, fresh):
        data.set_epoch(1)
    assert torch.equal(fixed.line_mask(0), first[0])
    assert not torch.equal(fresh.line_mask(0), first[1])
    fresh.set_epoch(0)
    assert torch.equal(fresh.line_mask(0), first[1])
    assert fresh.line_mask(0).sum() == 14


def test_fingerprint_tells_what_would_be_seen(tiny_store):
    def fingerprint(subjects=("head-000", "head-001"), masks="fixed", seed=0):
        return slices_fingerprint(
            tiny_store, subjects, sampling=TINY.sampling, masks=masks, seed=seed
        )  # fmt: skip

    others = {
        fingerprint(masks="fresh"),
        fingerprint(masks="fresh", seed=1),
        fingerprint(subjects=("head-001",)),
        fingerprint(subjects=("head-001", "head-000")),
    }
    assert len(others | {fingerprint()}) == 5
    assert fingerprint() == fingerprint()


def test_the_format_says_how_slices_lie_and_what_was_acquired(tiny_store):
    data = slices_of(tiny_store, "fresh")
    image, measured = data.format, data.showing("measurement").format
    (plane,) = image.planes
    assert (plane.axes, plane.view, plane.pixel_mm, plane.slice_mm) == ("SRA", "axial", (4, 4), 12)
    assert (image.channels, image.scaling) == (("real", "imaginary"), "slice")
    assert image.size == tuple(data[0]["image"].shape[-2:])
    assert image.padded_to is None
    assert image.acquired == pytest.approx(14 / 45)
    assert (image.content, measured.content) == ("image", "kspace")
    assert measured.model_copy(update={"content": "image"}) == image


def test_missing_subject_is_named(tiny_store):
    with pytest.raises(SpinforgeError, match="no complete subject 'head-009'"):
        ZeroFilledSlices(tiny_store.path, ("head-009",), sampling=TINY.sampling, masks="fixed")
