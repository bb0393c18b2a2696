"""How far corrupted images are from clean ones: cases done by hand, the same for any blocks."""

import math

import dask.array as da
import numpy as np
import pytest

from spinforge.evaluation.corruption_strength import slice_sums, strength


def sums(corrupted, clean, chunks=-1):
    pair = (da.from_array(np.asarray(values), chunks) for values in (corrupted, clean))
    return slice_sums(*pair).compute(scheduler="synchronous")


def test_two_pixels_by_hand():
    """Errors 0 and 1 of values 3 and 4: NRMSE 1 / 5; RMSE sqrt(1/2), peak 4."""
    found = strength([sums([[[3.0, 5.0]]], [[[3.0, 4.0]]])])
    assert found.nrmse == pytest.approx(1 / 5)
    assert found.psnr == pytest.approx(10 * math.log10(16 / 0.5))


def test_a_copy_has_no_error():
    images = np.ones((2, 3, 4), np.uint8)
    found = strength([sums(images, images)])
    assert (found.nrmse, found.psnr) == (0.0, math.inf)


def test_the_figure_of_several_subjects_is_their_mean():
    one, two = (sums([[[value]]], [[[10.0]]]) for value in (11.0, 13.0))
    assert strength([one, two]).nrmse == pytest.approx((0.1 + 0.3) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_blocks_do_not_change_a_bit(dtype):
    rng = np.random.default_rng(0)
    shape = (7, 2, 12, 11) if dtype is np.complex64 else (7, 12, 11)
    clean = rng.normal(size=shape).astype(dtype)
    noisy = (clean + rng.normal(size=shape)).astype(dtype)
    whole = sums(noisy, clean)
    for chunks in ((1,) * len(shape), (3, *shape[1:])):
        assert np.array_equal(sums(noisy, clean, chunks), whole)


def test_a_phase_of_kspace_is_no_error():
    """Coils are compared as the magnitude image they give."""
    rng = np.random.default_rng(1)
    clean = rng.normal(size=(2, 3, 8, 8)) + 1j * rng.normal(size=(2, 3, 8, 8))
    found = strength([sums(1j * clean, clean)])
    assert found.nrmse < 1e-14
