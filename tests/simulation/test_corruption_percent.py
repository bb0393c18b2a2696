"""Strengths in percent, BrainWeb's fields, and what a corruption without a strength says."""

from dataclasses import replace

import pytest
import torch
from corruption_volume import make_volume
from pydantic import ValidationError

from spinforge.simulation.corruption.corrupt import corrupt
from spinforge.simulation.corruption.intensity import INU_PERCENT, NonUniformity
from spinforge.simulation.corruption.motion import Motion
from spinforge.simulation.corruption.noise import COMPLEX_PERCENT, ComplexNoise, RicianNoise
from spinforge.simulation.corruption.volume import SamplePath
from spinforge.simulation.errors import SpinforgeError

PATH = SamplePath(3, ("test", "head-000"))


@pytest.mark.parametrize(
    ("kind", "table"), [(ComplexNoise, COMPLEX_PERCENT), (NonUniformity, INU_PERCENT)]
)
def test_a_level_is_a_name_for_its_percentage(kind, table):
    """With coupled random numbers the two are the same image."""
    volume = make_volume(complex_image=True)
    for level, percent in enumerate(table, start=1):
        by_level, by_percent = (
            corrupt(volume, [chosen], PATH, couple_levels=True).image
            for chosen in (kind(level=level), kind(percent=percent))
        )
        assert torch.equal(by_level, by_percent)


def test_percentages_between_the_levels_are_drawn_for_themselves():
    volume = make_volume(complex_image=False)
    done = corrupt(volume, [RicianNoise(percent=2.5)], PATH)
    (entry,) = done.history
    assert (entry["level"], entry["rng_path"]) == (None, "test/head-000/0-noise/percent-2.5")
    assert entry["parameters"] == {
        "percent": 2.5,
        "std": pytest.approx(0.025 * volume.reference_signal),
    }


@pytest.mark.parametrize("kind", [RicianNoise, ComplexNoise, NonUniformity])
def test_no_percent_is_the_clean_image_itself(kind):
    volume = make_volume(complex_image=False)
    assert torch.equal(corrupt(volume, [kind(percent=0)], PATH).image, volume.image)


def test_a_negative_range_turns_the_field_over():
    volume = make_volume(complex_image=False)
    up, down = (
        NonUniformity(percent=sign * 40, shape="A").draw(volume, PATH).values[volume.brain]
        for sign in (1, -1)
    )
    torch.testing.assert_close(up - 1, 1 - down, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("contrast", "shape"), [("T1", "A"), ("T2", "B"), ("PD", "C")])
def test_brainwebs_contrasts_have_their_own_fields(contrast, shape):
    volume = replace(make_volume(complex_image=False), contrast=contrast)
    own = NonUniformity(percent=20, shape="by_contrast").draw(volume, PATH).values
    assert torch.equal(own, NonUniformity(percent=20, shape=shape).draw(volume, PATH).values)


def test_a_contrast_brainweb_does_not_have_is_refused():
    volume = replace(make_volume(complex_image=False), contrast="FLAIR")
    with pytest.raises(SpinforgeError, match=r"no field for contrast 'FLAIR', only for T1, T2, PD"):
        NonUniformity(percent=20, shape="by_contrast").draw(volume, PATH)


def test_level_and_percent_exclude_each_other():
    with pytest.raises(ValidationError, match="either level or percent"):
        RicianNoise(level=1, percent=1)


def test_a_corruption_without_strength_says_so():
    with pytest.raises(SpinforgeError, match="motion has level None; choose 1 to 5"):
        corrupt(make_volume(complex_image=False), [Motion()], PATH)
