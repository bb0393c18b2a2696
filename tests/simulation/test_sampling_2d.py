import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling_2d import Poisson2D, poisson2d

SHAPE = (61, 90)


def drawn(seed=0, shape=SHAPE, **settings):
    return poisson2d(Poisson2D(**settings), shape, SampleRng(seed, "m"))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(24, 60), st.integers(24, 60)),
    st.floats(1.4, 12),
    st.tuples(st.integers(0, 8), st.integers(0, 8)),
    st.booleans(),
    st.integers(0, 2**63 - 1),
)
def test_count_is_exact_and_the_centre_full(shape, acceleration, calibration, crop, seed):
    target = round(shape[0] * shape[1] / acceleration)
    assume(calibration[0] * calibration[1] <= target)
    result = drawn(
        seed, shape, acceleration=acceleration, calibration=calibration, crop_corners=crop
    )
    assert result.acquired == result.target == target
    assert result.mask.shape == shape
    rows, columns = (
        slice(n // 2 - c // 2, n // 2 + c - c // 2) for n, c in zip(shape, calibration, strict=True)
    )
    assert result.mask[rows, columns].all()
    assert result.acs == calibration


def test_corners_are_left_out_unless_asked_for():
    assert not drawn().mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert drawn(crop_corners=False).mask[:8, :8].any()


def test_same_path_same_mask_whatever_else_happens():
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = [drawn(seed).mask for seed in range(3)]
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    np.random.seed(7)
    torch.set_default_dtype(torch.float64)
    try:
        again = [drawn(seed).mask for seed in (2, 0)]
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(first[2], again[0])
    assert torch.equal(first[0], again[1])
    assert not torch.equal(first[0], first[1])


def test_density_falls_from_the_centre_outwards():
    density = torch.stack([drawn(seed, acceleration=6).mask for seed in range(12)]).double().mean(0)
    ky, kx = ((np.arange(n) - n // 2) / (n / 2) for n in SHAPE)
    radius = torch.from_numpy(np.hypot(ky[:, None], kx))
    edges = (0.3, 0.45, 0.6, 0.75, 0.9)
    rings = [
        density[(radius >= low) & (radius < high)].mean().item()
        for low, high in itertools.pairwise(edges)
    ]
    assert rings == sorted(rings, reverse=True)
    # The density is 1 / r^2 of the discs: it falls by much more than the noise of 12 masks.
    assert rings[0] > 1.5 * rings[-1]


def test_samples_keep_their_distance():
    """At 8-fold acceleration discs have a radius of 2 grid steps or more beyond mid-radius."""
    mask = drawn(shape=(120, 120), acceleration=8, calibration=(8, 8)).mask
    points = mask.nonzero().numpy()
    outer = points[np.hypot(*(points - 60).T) > 45]
    nearest = cKDTree(points).query(outer, k=2)[0][:, 1]
    uniform = np.argwhere(np.random.default_rng(0).random((120, 120)) < 1 / 8)
    random_nearest = cKDTree(uniform).query(uniform, k=2)[0][:, 1]
    # No two neighbours touch, which for random samples of this density most do.
    assert nearest.min() > 1
    assert (random_nearest == 1).mean() > 0.3


def test_no_aliasing_peak_stands_out():
    """The point-spread function beyond a few pixels is that of noise, not of a lattice."""
    mask = drawn(shape=(120, 144), acceleration=5, calibration=(12, 12)).mask
    spread = torch.fft.fftshift(torch.fft.ifft2(mask.to(torch.complex128))).abs()
    y, x = (torch.arange(n) - n // 2 for n in spread.shape)
    far = (y[:, None] ** 2 + x**2) > 20**2
    # A lattice of 5-fold acceleration has peaks of 1.
    assert spread[far].max() / spread.max() < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calibration": (62, 4)}, r"calibration = \(62, 4\) must lie between"),
        ({"calibration": (-1, 4)}, r"calibration = \(-1, 4\) must lie between"),
        ({"calibration": (60, 60)}, "keeps 3600 samples, but acceleration = 4 leaves only 1372"),
        ({"acceleration": 1.1}, "Raise acceleration to 1.28 or more, or set crop_corners: false"),
    ],
    ids=str,
)
def test_what_does_not_fit_says_what_to_change(settings, message):
    with pytest.raises(SpinforgeError, match=message):
        drawn(**settings)
