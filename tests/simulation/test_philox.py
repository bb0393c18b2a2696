"""Random numbers on the device: known answers, statistics, and independence of the batch."""

import math

import pytest
import torch

from spinforge.simulation.philox import (
    complex_normals,
    noise_on_lines,
    normals_here,
    philox4x32,
    random_words,
    sample_keys,
)

# Random123's file kat_vectors, philox4x32 of 7 and 10 rounds: counter, key, words.
KNOWN = [
    (7, "00000000" * 4, "00000000" * 2, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (7, "ffffffff" * 4, "ffffffff" * 2, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (10, "00000000" * 4, "00000000" * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, "ffffffff" * 4, "ffffffff" * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        10,
        "243f6a8885a308d313198a2e03707344",
        "a4093822299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text):
    text = text.replace(" ", "")
    return torch.tensor([int(text[i : i + 8], 16) for i in range(0, len(text), 8)])


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN)
def test_known_answers_of_the_authors(rounds, counter, key, expected):
    found = philox4x32(words(counter)[:, None], words(key)[:, None], rounds=rounds)
    assert found[:, 0].tolist() == words(expected).tolist()


def keys(*names):
    return sample_keys([("test", name) for name in names], seed=0)


def test_a_sample_does_not_depend_on_its_batch():
    alone, together = random_words(keys("b"), 5, 7), random_words(keys("a", "b", "c"), 5, 7)
    assert torch.equal(alone[:, 0], together[:, 1])
    assert not torch.equal(together[:, 0], together[:, 1])


def test_more_rows_leave_the_first_as_they_are():
    few, many = (complex_normals(keys("a"), rows, 9) for rows in (3, 8))
    # Vector units and what is left over at the end may differ in the last bit.
    torch.testing.assert_close(few, many[:, :3], rtol=1e-6, atol=1e-7)
    assert few.shape == (1, 3, 9)


def test_words_are_uniform_and_no_bit_is_stuck():
    drawn = random_words(keys("a", "b"), 5, 2500).flatten()
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < 2**32
    assert len(drawn.unique()) > 99_990  # birthday: 1.2 repetitions of 2^32 are expected
    share = torch.stack([(drawn >> bit & 1).float().mean() for bit in range(32)])
    # Five standard errors of a fair coin tossed 100 000 times.
    assert (share - 0.5).abs().max() < 5 * 0.5 / math.sqrt(100_000)


def draw_there(rows, count):
    return complex_normals(keys("a", "b"), rows, count)


def draw_here(rows, count):
    return torch.stack([normals_here(key, rows, count) for key in keys("a", "b").T])


@pytest.mark.parametrize("draw", [draw_there, draw_here])
def test_normals_have_the_moments_and_tails_of_the_normal_distribution(draw):
    drawn = torch.view_as_real(draw(250, 1000)).double().flatten()
    n = len(drawn)
    # Standard errors of the first four moments: 1, sqrt 2, sqrt 15, sqrt 96, over sqrt n.
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((drawn**power).mean()) - moment) < 5 * math.sqrt(spread / n)
    for edge in (1.0, 2.0, 3.0, 4.0):
        expected = math.erfc(edge / math.sqrt(2))
        found = float((drawn.abs() > edge).double().mean())
        assert abs(found - expected) < 5 * math.sqrt(expected / n)


@pytest.mark.parametrize("draw", [draw_there, draw_here])
def test_neighbours_in_a_draw_and_across_samples_are_uncorrelated(draw):
    numbers = draw(200, 1000).flatten(1)
    drawn = torch.view_as_real(numbers).flatten(1).double()  # real and imaginary by turns
    pairs = [
        (drawn[0], drawn[1]),
        (drawn[0, 1:], drawn[0, :-1]),
        (drawn[0, 0::2], drawn[0, 1::2]),  # the two channels
    ]
    for one, other in pairs:
        assert abs(float((one * other).mean())) < 5 / math.sqrt(len(one))


def test_noise_of_a_sample_depends_on_its_own_mask_alone():
    masks = torch.tensor([[1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 0, 0, 0]]).bool()

    every = noise_on_lines(keys("a", "b", "c"), masks, (2, 6), torch.device("cpu"))
    assert every.shape == (7, 2, 6)
    alone = noise_on_lines(keys("c"), masks[2:], (2, 6), torch.device("cpu"))
    assert torch.equal(every[6:], alone)


def test_seed_and_path_key_the_numbers():
    paths = [("a", 1), ("a", 2), ("b", 1)]
    every = torch.cat([sample_keys(paths, seed=seed) for seed in (0, 1)], dim=1)
    assert len({tuple(column) for column in every.T.tolist()}) == 6
    assert torch.equal(sample_keys(paths, seed=0), sample_keys(paths, seed=0))


def test_a_slash_would_make_two_paths_one():
    with pytest.raises(ValueError, match="no part of a path may contain a slash"):
        sample_keys([("a/b",)], seed=0)
