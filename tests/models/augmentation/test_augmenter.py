"""Whole batches: of images, of sequences, of k-space for either kind of network."""

import math

import pytest
import torch
from measured import line_mask

from spinforge.models.augmentation.augmenter import Augmenter, augmenter_for
from spinforge.models.augmentation.geometry import flipped
from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.reconstruction import intensity_scale, real_channels

GEOMETRY = {"flip_vertical": 0.5, "flip_horizontal": 0.5, "rotation_deg": 30, "crop": 0.7}
PHYSICS = {"inu_percent": 40, "motion": 4, "noise_percent": 10}
SIZE = (24, 30)


def named(count):
    return {"subject": [f"sub-{n % 3}" for n in range(count)], "slice": torch.arange(count)}


@pytest.fixture
def images(random_images):
    image = random_images(5, 3, *SIZE).abs() + 0.1
    image[:, :, :4] = 0  # as where the skull was taken off
    return {"image": image, "target": (4 * image[:, 0]).long() % 4, **named(5)}


@pytest.fixture
def measured(random_images):
    channels = random_images(5, 3, 2, *SIZE)
    kspace = image_to_kspace(torch.complex(channels[:, :, 0], channels[:, :, 1]))
    maps = torch.complex(channels[:, :, 1], channels[:, :, 0]).flip(0)
    target = (2 * channels[:, 0, 0].abs()).long() % 4
    return {
        "kspace": kspace,
        "mask": line_mask(5, SIZE[0], seed=1),
        "sensitivities": maps,
        "target": target,
        **named(5),
    }


def augmented(batch, config, *, epoch=0, gives_images=True, seed=7):
    augmenter = Augmenter(Augmentation(**config), seed=seed, gives_images=gives_images)
    return augmenter.applied(augmenter.drawn(batch, epoch))


def taken(batch, positions):
    """Some items of a batch."""
    return {
        name: values[positions] if torch.is_tensor(values) else [values[p] for p in positions]
        for name, values in batch.items()
    }


@pytest.mark.parametrize("kind", ["images", "measured", "measured, as images"])
def test_an_item_is_the_same_to_the_bit_in_any_batch(kind, request):
    batch = request.getfixturevalue(kind.partition(",")[0])
    gives_images = kind != "measured"
    config = PHYSICS | (GEOMETRY if gives_images else {"flip_vertical": 0.5})
    whole = augmented(batch, config, gives_images=gives_images)
    for positions in ([3], [4, 0, 2]):
        part = augmented(taken(batch, positions), config, gives_images=gives_images)
        assert part.keys() == whole.keys()
        for name, values in taken(whole, positions).items():
            same = values.equal(part[name]) if torch.is_tensor(values) else values == part[name]
            assert same, name
    later = augmented(batch, config, gives_images=gives_images, epoch=1)
    shown = "image" if gives_images else "kspace"
    assert not (later[shown] == whole[shown]).flatten(1).all(1).any()


def test_a_batch_of_one_and_a_batch_of_all_round_alike_but_on_the_processor_to_the_bit(images):
    """What a GPU does in one piece agrees with the items alone to rounding."""
    augmenter = Augmenter(Augmentation(**GEOMETRY, **PHYSICS), seed=7, gives_images=True)
    batch = augmenter.drawn(images, 0)
    one_piece = augmenter._augmented({n: batch[n] for n in ("image", "target")}, batch["draws"])
    items = augmenter.applied(batch)
    torch.testing.assert_close(one_piece["image"], items["image"], rtol=1e-4, atol=1e-4)
    assert torch.equal(one_piece["target"], items["target"])


def test_what_was_not_drawn_is_left_alone_to_the_bit(images):
    augmenter = Augmenter(Augmentation(**GEOMETRY), seed=7, gives_images=True)
    assert augmenter.applied(images) is images
    nothing = {name: 0.0 for name in ("flip_vertical", "flip_horizontal", "noise_percent")}
    same = augmented(images, nothing)
    assert torch.equal(same["image"], images["image"])
    assert torch.equal(same["target"], images["target"])
    assert augmenter_for(Augmentation(), UNetConfig(kind="unet"), seed=0) is None


def test_image_and_labels_stay_aligned(images):
    """An image that shows its own labels does so after it was moved, where no edge is near."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SIZE), indexing="ij")
    target = (((y - 0.1) ** 2 + (x + 0.2) ** 2 < 0.5).long() + (x > y + 0.3).long()).repeat(5, 1, 1)
    batch = {"image": target[:, None].float(), "target": target, **named(5)}
    found = augmented(batch, GEOMETRY)
    shown, labels = found["image"][:, 0], found["target"]
    is_known = (labels >= 0) & ((shown - shown.round()).abs() < 1e-3)
    assert is_known.float().mean() > 0.6
    assert torch.equal(shown[is_known].round().long(), labels[is_known])
    assert {0, 1, 2} <= set(labels.unique().tolist())
    assert not torch.equal(labels, target)


def test_ages_of_a_sequence_move_together_and_are_scanned_apart(random_images):
    frame = random_images(2, 1, 2, *SIZE).abs()
    target = (3 * frame[:, :, 0]).long() % 4
    batch = {
        "image": frame.expand(-1, 3, -1, -1, -1),
        "target": target.expand(-1, 3, -1, -1),
        **named(2),
    }
    found = augmented(batch, GEOMETRY)
    assert found["image"].shape == (2, 3, 2, *SIZE)
    assert found["target"].shape == (2, 3, *SIZE)
    for number in (1, 2):
        assert torch.equal(found["image"][:, number], found["image"][:, 0])
        assert torch.equal(found["target"][:, number], found["target"][:, 0])
    gains = augmented(batch, {"inu_percent": 60})["image"] / batch["image"]
    scans = gains.flatten(1, 2)
    assert (scans - scans[:, :1]).abs().amax((-1, -2))[:, 1:].min() > 0.01


def test_a_bias_field_multiplies(images):
    """A field of twice the image is twice the field of the image."""
    config = {"inu_percent": 50}
    doubled = augmented(images | {"image": 2 * images["image"]}, config)["image"]
    torch.testing.assert_close(doubled, 2 * augmented(images, config)["image"])


@pytest.mark.parametrize("config", [PHYSICS, {"noise_percent": 30}], ids=str)
def test_where_there_was_nothing_there_is_nothing(images, config):
    found = augmented(images, config)["image"]
    assert not found[:, :, :4].any()
    assert (found[:, :, 4:] > 0).all()
    assert not torch.equal(found, images["image"])


def still(draws):
    """The same draws with a scanner that does nothing."""
    return draws._replace(inu=0 * draws.inu, poses=0 * draws.poses, noise=0 * draws.noise)


def test_measurements_that_nothing_was_done_to_become_the_zero_filled_images(measured):
    augmenter = Augmenter(Augmentation(**PHYSICS), seed=7, gives_images=True)
    batch = augmenter.drawn(measured, 0)
    found = augmenter.applied(batch | {"draws": still(batch["draws"])})
    expected = zero_filled_channels(
        Measurement(measured["kspace"], measured["mask"], measured["sensitivities"])
    )
    scale = intensity_scale(torch.complex(expected[:, 0], expected[:, 1]))[:, None, None, None]
    torch.testing.assert_close(found["image"], expected / scale, rtol=0, atol=1e-4)
    assert torch.equal(found["target"], measured["target"])
    assert found.keys() == {"image", "target", "subject", "slice"}


def test_a_flipped_measurement_is_that_of_the_flipped_head_and_coils(measured):
    augmenter = Augmenter(Augmentation(flip_vertical=0.5), seed=7, gives_images=False)
    batch = augmenter.drawn(measured, 0)
    flips = batch["draws"].flips
    assert 0 < flips[:, 0].sum() < 5
    found = augmenter.applied(batch)
    expected = image_to_kspace(flipped(kspace_to_image(measured["kspace"]), flips))
    scale = (found["kspace"] / expected).abs().flatten(1).median(1).values
    torch.testing.assert_close(
        found["kspace"], expected * scale[:, None, None, None], rtol=0, atol=1e-4
    )
    assert torch.equal(found["sensitivities"], flipped(measured["sensitivities"], flips))
    assert torch.equal(found["target"], flipped(measured["target"], flips))
    assert torch.equal(found["mask"], measured["mask"])
    # The network's input is scaled as any other: its zero-filled image has a percentile of 1.
    image = zero_filled_channels(
        Measurement(found["kspace"], found["mask"], found["sensitivities"])
    )
    scales = intensity_scale(torch.complex(image[:, 0], image[:, 1]))
    torch.testing.assert_close(scales, torch.ones(5), rtol=0, atol=1e-4)


def test_noise_of_a_measurement_is_in_every_coil_and_line(measured):
    config = Augmentation(noise_percent=50)
    augmenter = Augmenter(config, seed=7, gives_images=False)
    single = measured | {"kspace": measured["kspace"][:, :1]}
    del single["sensitivities"]
    batch = augmenter.drawn(single, 0)
    found = augmenter.applied(batch)["kspace"]
    quiet = augmenter.applied(batch | {"draws": still(batch["draws"])})["kspace"]
    # Both are scaled; the same noise-free part is in both.
    for one, without, std in zip(found, quiet, batch["draws"].noise, strict=True):
        assert not torch.equal(one, without)
        assert (one - without).abs().amax(-1).min() > 0.01 * float(std)


def test_each_coil_has_noise_of_its_own(measured):
    config = Augmentation(noise_percent=50)
    augmenter = Augmenter(config, seed=7, gives_images=False)
    batch = augmenter.drawn(measured, 0)
    found = augmenter.applied(batch)["kspace"]
    quiet = augmenter.applied(batch | {"draws": still(batch["draws"])})["kspace"]
    for one, without in zip(found, quiet, strict=True):
        # Each is scaled by its own percentile: what is not the quiet one's multiple is noise.
        multiple = (without.conj() * one).sum() / without.abs().square().sum()
        noise = (one - multiple * without).flatten(1)
        deviations = noise.abs().square().mean(1).sqrt()
        # A deviation of n complex numbers has a relative standard error of 1 / (2 sqrt(n)).
        n = noise.shape[1]
        assert n > 500
        torch.testing.assert_close(
            deviations / deviations.mean(), torch.ones(len(noise)), rtol=0, atol=2 / math.sqrt(n)
        )
        coherence = (noise / noise.norm(dim=1, keepdim=True)) @ noise.mH / noise.norm(dim=1)
        apart = ~torch.eye(len(noise), dtype=torch.bool)
        # Of independent coils it has a standard deviation of 1 / sqrt(n).
        assert coherence.abs()[apart].max() < 5 / math.sqrt(n)


def test_images_with_a_phase_show_it(measured):
    """Of k-space sets the two channels are one scan: a bias field leaves the phase alone."""
    single = measured | {"kspace": measured["kspace"][:, :1], "mask": measured["mask"] | True}
    del single["sensitivities"]
    found = augmented(single, {"inu_percent": 60})["image"]
    phase = torch.complex(found[:, 0], found[:, 1]).angle()
    expected = kspace_to_image(measured["kspace"][:, 0])
    turned = torch.polar(torch.ones_like(phase), phase - expected.angle())
    torch.testing.assert_close(turned.real, torch.ones_like(phase), rtol=0, atol=1e-4)
    assert real_channels(expected).shape == found.shape


@pytest.mark.parametrize("name", ["rotation_deg", "scale", "crop"])
def test_interpolating_what_was_measured_is_refused(name):
    config = Augmentation(**{name: 0.5})
    network = SERANetConfig(kind="seranet")
    with pytest.raises(SpinforgeError, match=rf"training\.augmentation\.{name}: .*k-space cannot"):
        augmenter_for(config, network, seed=0)
    assert augmenter_for(config, UNetConfig(kind="unet"), seed=0) is not None
