"""Photographs: each corrupted by itself, the colours of one alike but for noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from corruption_volume import DRAWN_ONCE, NOISE, make_volume
from pydantic import TypeAdapter

from spinforge.simulation.corruption.corrupt import ImageCorruption, corrupt
from spinforge.simulation.corruption.photographs import corrupt_photographs
from spinforge.simulation.corruption.volume import SamplePath

MAKE = TypeAdapter(ImageCorruption)
PATH = SamplePath(7, ("corrupt", "test-000", "colours"))
DRAWN_BY_PICTURE = ["inu", "bias_n4", "motion", "spike", "undersample"]
"""Those with so many random numbers that two pictures never have the same."""


def photographs(colour="red", **changes):
    volume = make_volume(complex_image=False, shape=(4, 48, 40))
    ones = torch.ones_like(volume.head)
    volume = replace(volume, head=ones, brain=ones, contrast=colour, is_photographs=True)
    return replace(volume, **changes)


def one(kind, level=4):
    return [MAKE.validate_python({"kind": kind, "level": level})]


@pytest.mark.parametrize("kind", [*DRAWN_ONCE, *NOISE])
def test_a_photograph_does_not_depend_on_the_others(kind):
    """To the bit; a corruption along the slices, or drawn for all of them, would mix them."""
    volume = photographs()
    others = volume.image.clone()
    others[0], others[2:] = 0.9, others[2:].flip(1)
    done = corrupt_photographs(volume, one(kind), PATH).image
    again = corrupt_photographs(replace(volume, image=others), one(kind), PATH).image
    assert torch.equal(done[1], again[1])
    assert not torch.equal(done[1], volume.image[1])


@pytest.mark.parametrize("kind", DRAWN_ONCE)
def test_colours_are_corrupted_alike(kind):
    red = corrupt_photographs(photographs("red"), one(kind), PATH)
    blue = corrupt_photographs(photographs("blue"), one(kind), PATH)
    assert torch.equal(red.image, blue.image)
    assert red.history == blue.history


@pytest.mark.parametrize("kind", NOISE)
def test_noise_of_every_colour_is_its_own(kind):
    """Of n independent pairs the correlation is 1 / sqrt(n) on average; 5 of these at most."""
    volume = photographs()
    plain = volume.image
    noise = [
        (corrupt_photographs(photographs(c), one(kind), PATH).image - plain)[plain > 0.4]
        for c in ("red", "blue")
    ]
    assert abs(np.corrcoef(*noise)[0, 1]) < 5 / len(noise[0]) ** 0.5


@pytest.mark.parametrize("kind", DRAWN_BY_PICTURE)
def test_equal_photographs_are_corrupted_differently(kind):
    image = make_volume(complex_image=False, shape=(1, 48, 40)).image.repeat(4, 1, 1)
    done = corrupt_photographs(photographs(image=image), one(kind), PATH).image
    assert not torch.equal(done[0], done[1])


def test_voxels_of_photographs_are_long_in_the_plane_only():
    """Over 20 seeds both axes of the plane are drawn, and of volumes all three."""

    def axes(volume):
        paths = (SamplePath(seed, PATH.parts) for seed in range(20))
        return {corrupt(volume, one("aniso"), p).history[0]["parameters"]["axis"] for p in paths}

    assert axes(photographs()) == {"ky", "kx"}
    assert axes(photographs(is_photographs=False)) == {"slice", "ky", "kx"}


def test_the_history_has_every_photographs_parameters():
    chain = [*one("inu"), *one("motion", 0), *one("noise")]
    done = corrupt_photographs(photographs(), chain, PATH, first_position=1)
    field, motion, noise = done.history
    assert (field["id"], field["level"], field["rng_path"]) == ("inu", 4, str(PATH))
    assert list(field["parameters"]) == [f"photograph-{index:03d}" for index in range(4)]
    second = field["parameters"]["photograph-001"]
    assert second["rng_path"] == f"{PATH}/photograph-001/1-inu/level-4"
    assert second["percent"] == 60
    assert motion["parameters"] == {}
    path = noise["parameters"]["photograph-003"]["rng_path"]
    assert path == f"{PATH}/photograph-003/3-noise/level-4/red"


@pytest.mark.parametrize("kind", [*DRAWN_ONCE, *NOISE])
def test_level_0_leaves_photographs_as_they_are(kind):
    volume = photographs()
    assert torch.equal(corrupt_photographs(volume, one(kind, 0), PATH).image, volume.image)
