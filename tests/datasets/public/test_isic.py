"""ISIC 2017: photographs and masks of any size become slices of one size."""

import zlib

import numpy as np
import pytest
from PIL import Image
from public_miniatures import isic

from spinforge.datasets.public.isic import ISIC2017
from spinforge.datasets.volumes import VolumeSource
from spinforge.simulation.errors import SpinforgeError

DATA = "ISIC-2017_Training_Data"
TRUTH = "ISIC-2017_Training_Part1_GroundTruth"
FIRST = "ISIC_0000000"


@pytest.fixture
def folder(tmp_path):
    isic(tmp_path)
    return tmp_path


def replace_mask(folder, values, name=FIRST):
    Image.fromarray(values).save(folder / TRUTH / f"{name}_segmentation.png")


def test_photographs_are_subjects_and_superpixels_are_not(folder):
    source = ISIC2017(folder)
    assert isinstance(source, VolumeSource)
    assert source.subjects() == [f"ISIC_{number:07}" for number in range(4)]
    for name in source.subjects():
        source.check(name)


def test_channels_and_mask_have_the_size_of_the_paper(folder):
    volume = ISIC2017(folder).load("ISIC_0000002")
    # A uniform photograph stays so; JPEG at this quality is off by less than 3.
    for contrast, value in zip(("red", "green", "blue"), (200, 120, 60), strict=True):
        channel = volume.contrasts[contrast]
        assert channel.shape == (1, 192, 256)
        assert channel.dtype == np.uint8
        assert np.abs(channel.astype(int) - value).max() < 3
    assert volume.labels.shape == (1, 192, 256)
    parameters = dict(volume.parameters)
    assert parameters.pop("collection")["name"] == "ISIC 2017"
    assert parameters == {
        "part": "training",
        "photograph_size": [24, 40],
        "scale_known": False,
    }


def test_the_mask_is_stretched_with_the_photograph(folder):
    # 24 x 40 pixels, of which rows 6 to 17 and columns 5 to 19 are lesion, become 192 x 256.
    expected = np.zeros((192, 256))
    expected[6 * 8 : 18 * 8, 5 * 32 // 5 : 20 * 32 // 5] = 1
    np.testing.assert_array_equal(ISIC2017(folder).load(FIRST).labels[0], expected)


def test_light_goes_where_the_mask_goes(folder):
    mask = np.zeros((24, 40), dtype=np.uint8)
    mask[2:8, 20:35] = 255
    replace_mask(folder, mask)
    Image.fromarray(np.stack([mask] * 3, axis=-1)).save(folder / DATA / f"{FIRST}.jpg", quality=95)
    volume = ISIC2017(folder, size=(48, 80)).load(FIRST)
    bright = volume.contrasts["green"] > 127
    # Edges are blurred by one old pixel, which is two new ones; the areas are 12 x 30.
    assert (bright != volume.labels.astype(bool)).sum() < 0.1 * volume.labels.sum()
    assert volume.labels.sum() == 12 * 30


def test_averaging_keeps_the_mean(folder):
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / DATA / f"{FIRST}.jpg", quality=100, subsampling=0)
    replace_mask(folder, np.zeros((96, 160), dtype=np.uint8))
    decoded = np.asarray(Image.open(folder / DATA / f"{FIRST}.jpg"))[..., 1]
    small = ISIC2017(folder, size=(12, 20)).load(FIRST).contrasts["green"]
    # Without averaging, each of 240 pixels would be one sample of standard deviation 74; the mean
    # of 8 x 8 is 9 wide, narrower still with a triangle twice as wide.
    assert small.std() < 9
    assert abs(small.mean() - decoded.mean()) < 2


@pytest.mark.parametrize(
    ("part", "numbers"), [("training", (0, 2)), ("validation", (1,)), ("test", (3,))]
)
def test_parts_are_the_official_ones(folder, part, numbers):
    expected = [f"ISIC_{number:07}" for number in numbers]
    assert ISIC2017(folder).subjects_of(part) == expected
    assert ISIC2017(folder, part=part).subjects() == expected
    split = ISIC2017(folder).paper_split()
    assert {"training": split.train, "validation": split.validation, "test": split.test}[
        part
    ] == tuple(expected)


def test_parts_may_lie_one_level_below_and_need_not_all_be_there(folder):
    (folder / "train").mkdir()
    for name in (DATA, TRUTH):
        (folder / name).rename(folder / "train" / name)
    # What macOS puts into archives beside the folders themselves.
    (folder / "__MACOSX" / DATA).mkdir(parents=True)
    for path in folder.glob("ISIC-2017_Test*"):
        path.rename(folder / f"not-{path.name}")
    assert ISIC2017(folder).subjects() == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    assert ISIC2017(folder).load(FIRST).labels.any()


def test_files_of_macos_are_no_photographs(folder):
    before = ISIC2017(folder).subjects()
    for path in [*folder.rglob("*.*g")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    assert ISIC2017(folder).subjects() == before


@pytest.mark.parametrize("state", ["empty", "absent", "something else"])
def test_a_wrong_folder_is_shown_the_expected_tree(tmp_path, state):
    folder = tmp_path / "data"
    if state != "absent":
        folder.mkdir()
    if state == "something else":
        (folder / "ISIC_0000000.jpg").write_bytes(b"")
    found = {
        "empty": "it holds nothing",
        "absent": "there is no such folder",
        "something else": r"it holds ISIC_0000000\.jpg",
    }[state]
    with pytest.raises(SpinforgeError, match=rf"(?s)is not ISIC 2017.*{found}.*\n  {TRUTH}/"):
        ISIC2017(folder).subjects()
    with pytest.raises(SpinforgeError, match=r"is not ISIC 2017"):
        ISIC2017(folder).check(FIRST)


def test_a_part_that_is_not_there_is_refused(folder):
    (folder / "ISIC-2017_Test_v2_Data").rename(folder / "mine")
    with pytest.raises(SpinforgeError, match=r"(?s)is not ISIC 2017.*ISIC-2017_Test_v2_Data/"):
        ISIC2017(folder, part="test").subjects()


def test_a_missing_mask_is_named(folder):
    (folder / TRUTH / f"{FIRST}_segmentation.png").unlink()
    with pytest.raises(SpinforgeError, match=rf"{FIRST}_segmentation\.png is missing"):
        ISIC2017(folder).check(FIRST)


def test_missing_ground_truth_is_named(folder):
    (folder / TRUTH).rename(folder / "mine")
    with pytest.raises(SpinforgeError, match=rf"{TRUTH}/{FIRST}_segmentation\.png is missing"):
        ISIC2017(folder).check(FIRST)


def test_a_mask_without_a_photograph_is_named(folder):
    (folder / DATA / f"{FIRST}.jpg").unlink()
    with pytest.raises(SpinforgeError, match=rf"{FIRST}_segmentation\.png has no photograph"):
        ISIC2017(folder).subjects()


def test_an_unknown_photograph_is_named(folder):
    with pytest.raises(SpinforgeError, match=r"ISIC_9 not found; there are ISIC_0000000"):
        ISIC2017(folder).check("ISIC_9")


def test_a_photograph_in_two_parts_is_refused(folder):
    copy = folder / "ISIC-2017_Validation_Data" / f"{FIRST}.jpg"
    copy.write_bytes((folder / DATA / f"{FIRST}.jpg").read_bytes())
    with pytest.raises(SpinforgeError, match="in one part only"):
        ISIC2017(folder).subjects()


def test_masks_of_another_size_are_refused(folder):
    replace_mask(folder, np.zeros((24, 41), dtype=np.uint8))
    with pytest.raises(SpinforgeError, match=r"40 x 24 pixels and .*segmentation\.png has 41 x 24"):
        ISIC2017(folder).check(FIRST)
    with pytest.raises(SpinforgeError, match=r"40 x 24 pixels and .*segmentation\.png has 41 x 24"):
        ISIC2017(folder).load(FIRST)


def test_unexpected_mask_values_are_named_even_where_no_pixel_is_taken(folder):
    mask = np.zeros((24, 40), dtype=np.uint8)
    mask[0, 0] = 128
    replace_mask(folder, mask)
    with pytest.raises(
        SpinforgeError, match=r"segmentation\.png holds the values 128, .* 0, 255\."
    ):
        ISIC2017(folder, size=(3, 5)).load(FIRST)


def test_masks_of_one_bit_are_read(folder):
    expected = ISIC2017(folder).load(FIRST).labels
    path = folder / TRUTH / f"{FIRST}_segmentation.png"
    Image.open(path).convert("1").save(path)
    np.testing.assert_array_equal(ISIC2017(folder).load(FIRST).labels, expected)


@pytest.mark.parametrize(("mode", "name"), [("L", "photograph"), ("RGB", "mask")])
def test_pictures_of_another_mode_are_refused(folder, mode, name):
    path = {
        "photograph": folder / DATA / f"{FIRST}.jpg",
        "mask": folder / TRUTH / f"{FIRST}_segmentation.png",
    }[name]
    Image.new(mode, (40, 24)).save(path)
    with pytest.raises(SpinforgeError, match=rf"{path.name} has mode {mode}, expected"):
        ISIC2017(folder).load(FIRST)


@pytest.mark.parametrize("kept", [0.0, 0.5])
@pytest.mark.parametrize("name", [f"{DATA}/{FIRST}.jpg", f"{TRUTH}/{FIRST}_segmentation.png"])
def test_truncated_pictures_are_named(folder, name, kept):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SpinforgeError, match=rf"{path.name} is missing, damaged or no (JPEG|PNG)"):
        ISIC2017(folder).load(FIRST)


@pytest.mark.parametrize("side", [9000, 20000])
def test_pictures_that_ask_for_too_much_are_refused(folder, side):
    path = folder / TRUTH / f"{FIRST}_segmentation.png"
    content = bytearray(path.read_bytes())
    # Width and height of a PNG lie at byte 16, its header's checksum at 29.
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(SpinforgeError, match=rf"{path.name} .*(asks for|decompression bomb)"):
        ISIC2017(folder).check(FIRST)


def test_the_digest_follows_files_and_size(folder):
    digests = {ISIC2017(folder).digest(name) for name in ISIC2017(folder).subjects()}
    # Masks are equal here; photographs differ.
    assert len(digests) == 4
    assert ISIC2017(folder, size=(96, 128)).digest(FIRST) not in digests
