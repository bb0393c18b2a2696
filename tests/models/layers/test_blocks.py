"""The two rules for maps of unequal size, against hand-computed cases."""

import torch

from spinforge.models.layers.sizes import pad_to, resize_to


def test_padding_puts_the_larger_half_left_and_top():
    padded = pad_to(torch.ones(1, 1, 2, 2), torch.zeros(1, 3, 5, 3))
    expected = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 1, 1], [0, 1, 1], [0, 0, 0]])
    assert torch.equal(padded[0, 0], expected.float())


def test_resizing_keeps_corners_and_is_linear_between_them():
    ramp = torch.tensor([[0.0, 2.0], [4.0, 6.0]])[None, None]
    resized = resize_to(ramp, torch.zeros(1, 2, 3, 5))
    rows, columns = torch.linspace(0, 4, 3)[:, None], torch.linspace(0, 2, 5)
    # Three float32 roundings of numbers up to 6, each at most 6 * 2^-24 = 3.6e-7.
    torch.testing.assert_close(resized[0, 0], rows + columns, rtol=0.0, atol=1.1e-6)


def test_maps_of_equal_size_pass_unchanged():
    features = torch.rand(2, 3, 7, 5)
    assert resize_to(features, features) is features
    assert pad_to(features, features) is features
