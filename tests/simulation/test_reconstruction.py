import pytest
import torch
from head_slice import head_slice, nrmse

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.reconstruction import (
    combine_coils,
    pocs,
    root_sum_of_squares,
    zero_filled,
)
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import PartialFourier, partial_fourier


def complex_normals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


def test_root_sum_of_squares_by_hand():
    images = torch.tensor([[[3.0 + 0j]], [[4j]]])
    torch.testing.assert_close(root_sum_of_squares(images), torch.tensor([[5.0]]))


def test_combination_with_the_true_sensitivities_is_the_object():
    sensitivities, image = complex_normals(5, 7, 9), complex_normals(3, 7, 9, seed=1)
    combined = combine_coils(image[:, None] * sensitivities, sensitivities)
    torch.testing.assert_close(combined, image, rtol=1e-12, atol=1e-12)


def test_where_no_coil_is_sensitive_there_is_nothing():
    sensitivities = torch.zeros(2, 1, 2, dtype=torch.complex64)
    sensitivities[:, 0, 0] = 1j
    images = torch.ones(2, 1, 2, dtype=torch.complex64)
    combined = combine_coils(images, sensitivities)
    assert combined.tolist() == [[-1j, 0]]


@pytest.mark.parametrize("n_coils", [1, 4, 9])
def test_n_identical_coils_raise_the_snr_by_root_n(n_coils):
    noise = SampleRng(0, "coils").normals(2, n_coils, 256, 256)
    images = 10 + torch.complex(*torch.from_numpy(noise))
    uniform = torch.ones(n_coils, 256, 256, dtype=torch.complex128)
    combined = combine_coils(images, uniform)
    # The standard deviation of 65 536 pixels is known to 1 / sqrt(2 N) = 0.3 %.
    assert combined.real.mean() / combined.real.std() == pytest.approx(10 * n_coils**0.5, rel=0.02)


def test_combination_has_the_best_weights():
    """Any other unbiased weights give more noise: here, those of the mean of the coils."""
    sensitivities = torch.tensor([1.0, 0.5, 0.2], dtype=torch.complex128)[:, None, None]
    noise = torch.complex(*torch.from_numpy(SampleRng(0, "best").normals(2, 3, 200, 200)))
    images = sensitivities + noise
    best = combine_coils(images, sensitivities.expand(3, 200, 200)).real.std()
    mean = (images.mean(0) / sensitivities.mean()).real.std()
    # In closed form: 1 / sqrt(sum C^2) and sqrt(3) / sum C.
    assert best == pytest.approx(1.29**-0.5, rel=0.02)
    assert mean == pytest.approx(3**0.5 / 1.7, rel=0.02)


@pytest.mark.parametrize(("fraction", "bound"), [(5 / 8, 0.03), (3 / 4, 0.006)])
@pytest.mark.parametrize("omit", ["negative", "positive"])
def test_pocs_recovers_a_head_with_a_smooth_phase(fraction, bound, omit):
    image = head_slice()
    kspace = image_to_kspace(image)
    mask = partial_fourier(PartialFourier(fraction=fraction, omit=omit), len(image)).mask
    # Left over is the error of the phase, taken from the symmetric centre alone: 2.0 % with a
    # quarter of the lines in it, 0.4 % with half. Zero-filling leaves 16 and 10 %.
    assert nrmse(zero_filled(kspace, mask), image) > 0.09
    assert nrmse(pocs(kspace, mask), image) < bound


def test_pocs_agrees_with_the_acquired_lines_and_ignores_the_others():
    kspace = complex_normals(3, 41, 12)
    mask = partial_fourier(PartialFourier(), 41).mask
    image = pocs(kspace, mask, iterations=4)
    measured = image_to_kspace(image)[:, mask]
    torch.testing.assert_close(measured, kspace[:, mask], rtol=1e-10, atol=1e-12)
    other = torch.where(mask[:, None], kspace, 7)
    torch.testing.assert_close(pocs(other, mask, iterations=4), image, rtol=1e-10, atol=1e-12)


def test_pocs_of_a_full_scan_is_the_inverse_transform():
    image = complex_normals(20, 12)
    everything = torch.ones(20, dtype=torch.bool)
    torch.testing.assert_close(pocs(image_to_kspace(image), everything), image)


@pytest.mark.parametrize("lines", [[], [3, 4, 6], [0, 1, 2], [6, 7]], ids=str)
def test_pocs_refuses_other_masks(lines):
    mask = torch.zeros(8, dtype=torch.bool)
    mask[lines] = True
    with pytest.raises(SpinforgeError, match="must be contiguous and hold the centre"):
        pocs(complex_normals(8, 8), mask)
