"""What every corruption keeps to: level 0, keys, types, records, order."""

import json

import numpy as np
import pytest
import torch
from corruption_volume import IMAGE_KINDS, make_volume
from pydantic import TypeAdapter

from spinforge.simulation.corruption.corrupt import ImageCorruption, corrupt, corrupt_scan
from spinforge.simulation.corruption.rescan import Rescan
from spinforge.simulation.corruption.volume import SamplePath
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, InversionRecovery, SpinEcho

MAKE = TypeAdapter(ImageCorruption)
MAKE_RESCAN = TypeAdapter(Rescan)
PATH = SamplePath(7, ("robustness", "head-000", "T1"))
ALL = IMAGE_KINDS
ON_BOTH = [kind for kind in ALL if kind != "noise"]


def make(kind, level):
    return MAKE.validate_python({"kind": kind, "level": level})


def run(volume, *kinds_and_levels, path=PATH, **options):
    return corrupt(volume, [make(*pair) for pair in kinds_and_levels], path, **options)


@pytest.mark.parametrize("kind", ALL)
def test_level_0_is_the_clean_image_itself(kind):
    volume = make_volume(complex_image=kind != "noise")
    done = run(volume, (kind, 0))
    assert torch.equal(done.image, volume.image)
    assert done.history[0]["level"] == 0


@pytest.mark.parametrize("kind", ON_BOTH)
@pytest.mark.parametrize("complex_image", [False, True])
def test_shape_and_type_stay(kind, complex_image):
    volume = make_volume(complex_image=complex_image)
    image = run(volume, (kind, 3)).image
    assert (image.shape, image.dtype) == (volume.image.shape, volume.image.dtype)
    assert not torch.equal(image, volume.image)


@pytest.mark.parametrize("kind", ALL)
def test_same_path_same_bytes_whatever_was_drawn_before(kind):
    volume = make_volume(complex_image=False)
    first = run(volume, (kind, 3)).image
    np.random.default_rng(0).normal(size=10)
    torch.rand(10)
    assert torch.equal(run(volume, (kind, 3)).image, first)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in ("gibbs", "blur")])
def test_another_subject_is_corrupted_otherwise(kind):
    """An axis or a sign may be the same for two subjects, but not for eight."""
    volume = make_volume(complex_image=False)
    first = run(volume, (kind, 3)).image
    others = [
        run(volume, (kind, 3), path=SamplePath(7, ("robustness", f"head-{n:03d}", "T1"))).image
        for n in range(1, 8)
    ]
    assert any(not torch.equal(other, first) for other in others)


@pytest.mark.parametrize("kind", ALL)
def test_each_level_changes_the_image_more(kind):
    volume = make_volume(complex_image=False)
    errors = [
        float((run(volume, (kind, level), couple_levels=True).image - volume.image).norm())
        for level in range(6)
    ]
    assert errors[0] == 0
    if kind in ("motion", "undersample", "spike"):  # other lines and samples at every level
        assert errors[5] > errors[1] > 0
    else:
        assert errors == sorted(errors)
        assert len(set(errors)) == 6


@pytest.mark.parametrize("kind", ALL)
def test_the_history_can_be_stored_and_says_where_the_numbers_came_from(kind):
    (entry,) = run(make_volume(complex_image=False), (kind, 2)).history
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    assert entry["id"] == kind
    assert entry["level"] == 2
    assert entry["rng_path"] == f"robustness/head-000/T1/0-{kind}/level-2"
    assert entry["parameters"]


def test_corruptions_follow_each_other_with_numbers_of_their_own():
    volume = make_volume(complex_image=True)
    twice = run(volume, ("noise_gauss", 1), ("noise_gauss", 1))
    once = run(volume, ("noise_gauss", 1))
    first, second = once.image - volume.image, twice.image - once.image
    correlation = torch.vdot(first.flatten(), second.flatten()).abs()
    correlation /= first.norm() * second.norm()
    # Of two independent draws of n samples: 1 / sqrt(n) on average.
    assert float(correlation) < 5 / first.numel() ** 0.5
    assert [entry["rng_path"].split("/")[-2] for entry in twice.history] == [
        "0-noise_gauss",
        "1-noise_gauss",
    ]


def test_a_bias_comes_before_the_noise_it_does_not_shade():
    volume = make_volume(complex_image=False)
    shaded = run(volume, ("inu", 5), ("noise", 5)).image
    noisy = run(volume, ("noise", 5), ("inu", 5)).image
    assert not torch.equal(shaded, noisy)
    air = ~volume.head
    # Noise alone: the same everywhere; shaded after it: not.
    assert float(shaded[air].std()) == pytest.approx(
        0.09 * volume.reference_signal * (2 - torch.pi / 2) ** 0.5, rel=0.02
    )


def test_an_unknown_corruption_lists_the_known_ones():
    with pytest.raises(ValueError, match="'noise', 'noise_gauss', 'inu', 'bias_n4'"):
        make("snow", 1)


def test_coupled_levels_share_their_random_numbers():
    volume = make_volume(complex_image=True)
    images = [run(volume, ("noise_gauss", level), couple_levels=True).image for level in (1, 2)]
    # 5 % and 10 % of the same noise.
    torch.testing.assert_close(
        2 * (images[0] - volume.image), images[1] - volume.image, rtol=0, atol=1e-6
    )


def rescan(kind, level, sequence, scanner):
    corruption = MAKE_RESCAN.validate_python({"kind": kind, "level": level})
    return corrupt_scan(sequence, scanner, [corruption], PATH)


def test_other_timing_changes_tr_te_and_flip_angle_by_the_levels_percentage():
    clean = GradientEcho(kind="gradient_echo", variation=0)
    changed, _, (entry,) = rescan("contrast_physics", 2, clean, Scanner())
    for name in ("tr_ms", "te_ms", "flip_deg"):
        factor = getattr(changed, name) / getattr(clean, name)
        assert factor == pytest.approx(entry["parameters"][name])
        assert abs(factor - 1) == pytest.approx(0.2)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_other_timing_always_fits_in_the_repetition(level):
    """TR down and TE up by half would put the echo of 18 / 10 ms after its repetition."""
    for subject in range(8):
        path = SamplePath(0, ("x", f"head-{subject:03d}"))
        corruption = MAKE_RESCAN.validate_python({"kind": "contrast_physics", "level": level})
        clean = GradientEcho(kind="gradient_echo", variation=0)
        changed, _, _ = corrupt_scan(clean, Scanner(), [corruption], path)
        assert changed.te_ms < changed.tr_ms


def test_other_timing_that_cannot_fit_is_refused():
    tight = InversionRecovery(
        kind="inversion_recovery", tr_ms=3000, ti_ms=2800, te_ms=190, variation=0
    )
    with pytest.raises(SpinforgeError, match="no room for TR and TE changed by 50%"):
        rescan(
            "contrast_physics",
            5,
            tight.model_copy(update={"tr_ms": 1900.0, "ti_ms": 2800.0}),
            Scanner(),
        )


def test_stronger_b0_and_narrow_band_change_the_scanner_only():
    clean, scanner = SpinEcho(variation=0), Scanner(profile="seranet")
    sequence, stronger, _ = rescan("b0", 5, clean, scanner)
    assert sequence == clean
    assert stronger == scanner.model_copy(update={"b0_scale": 8.0})
    _, narrow, _ = rescan("chem_shift", 4, clean, scanner)
    assert narrow.bandwidth_hz_per_px == 80


@pytest.mark.parametrize(
    ("kind", "message"), [("b0", "set data.scanner.b0"), ("chem_shift", "add readout: true")]
)
def test_what_an_ideal_scanner_cannot_show_is_refused(kind, message):
    with pytest.raises(SpinforgeError, match=message):
        rescan(kind, 3, SpinEcho(), Scanner())


def test_a_field_out_of_range_is_refused():
    strong = Scanner(profile="seranet", b0_scale=5)
    with pytest.raises(SpinforgeError, match=r"less than or equal to 20.*Use a lower level"):
        rescan("b0", 5, SpinEcho(), strong)


@pytest.mark.parametrize("kind", ["contrast_physics", "b0", "chem_shift"])
def test_level_0_is_the_clean_scan(kind):
    clean, scanner = SpinEcho(variation=0), Scanner()
    sequence, same, (entry,) = rescan(kind, 0, clean, scanner)
    assert (sequence, same, entry["parameters"]) == (clean, scanner, {})
