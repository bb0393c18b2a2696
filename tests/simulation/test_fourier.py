import math

import pytest
import torch
from laws import assert_adjoint, assert_isometry

from spinforge.simulation.fourier import image_to_kspace, kspace_to_image

SIZES = [(8, 8), (7, 8), (1, 9), (45, 54)]


def random_image(*shape, dtype=torch.complex128):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=dtype, generator=generator)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_inverse_is_the_adjoint(size):
    x, y = random_image(2, 3, *size)
    assert_adjoint(image_to_kspace, kspace_to_image, x, y, rtol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_round_trip_is_the_identity(size):
    x = random_image(2, *size)
    torch.testing.assert_close(kspace_to_image(image_to_kspace(x)), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.complex64, 1e-6), (torch.complex128, 1e-12)], ids=str
)
def test_parseval(dtype, rtol):
    # float32 rounds to 6e-8; an FFT of 2^15 points sums it up over 15 stages.
    assert_isometry(image_to_kspace, random_image(180, 216, dtype=dtype), rtol=rtol)


@pytest.mark.parametrize("size", [(6, 8), (7, 9)], ids=str)
def test_equals_the_encoding_integral(size):
    """k(a, b) = sum m(y, x) exp(-2 pi i (a y / Ny + b x / Nx)) / sqrt(N), indices from N // 2."""
    image = random_image(*size)
    rows, columns = (torch.arange(n, dtype=torch.float64) - n // 2 for n in size)
    encode_y = torch.exp(-2j * math.pi * rows[:, None] * rows[None] / size[0])
    encode_x = torch.exp(-2j * math.pi * columns[:, None] * columns[None] / size[1])
    expected = encode_y @ image @ encode_x.T / math.sqrt(size[0] * size[1])
    torch.testing.assert_close(image_to_kspace(image), expected, rtol=1e-12, atol=1e-12)


def test_real_object_has_hermitian_kspace():
    kspace = image_to_kspace(random_image(7, 9).real.to(torch.complex128))
    torch.testing.assert_close(kspace, kspace.flip(-2, -1).conj(), rtol=0, atol=1e-14)
