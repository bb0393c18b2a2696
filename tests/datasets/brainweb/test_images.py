"""BrainWeb's own images: names, grids, and the real one beside the model it was made from."""

import numpy as np
import pytest
from minc import write_minc
from real_data import BRAINWEB0, needs_brainweb0

from spinforge.datasets.brainweb import images as brainweb_images
from spinforge.datasets.brainweb.files import read_volume
from spinforge.datasets.brainweb.images import (
    ImageSettings,
    check_image,
    cleanest_image,
    image_shapes,
    load_image,
)
from spinforge.datasets.brainweb.subject0 import read_crisp
from spinforge.simulation.errors import SpinforgeError

SHAPE = (7, 3, 2)  # z, y, x at 1 mm
THICK = ImageSettings(thickness_mm=3)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(brainweb_images, "SHAPE_ZYX", SHAPE)


@pytest.mark.parametrize(
    ("settings", "stem", "alias"),
    [
        (ImageSettings(), "t1_icbm_normal_1mm_pn3_rf20", "T1 ICBM normal 1mm pn3 rf20"),
        (
            ImageSettings(modality="t2", model="msles2", noise_percent=9, inu_percent=0),
            "t2_ai_msles2_1mm_pn9_rf0",
            "T2 AI msles2 1mm pn9 rf0",
        ),
    ],
    ids=["normal", "ms"],
)
def test_names_are_brainwebs(settings, stem, alias):
    assert (settings.stem, settings.alias) == (stem, alias)


@pytest.mark.parametrize(
    ("thickness", "planes"),
    [(1, {181}), (3, {60, 61}), (5, {36, 37}), (7, {25, 26}), (9, {20, 21})],
)
def test_thick_slices_cover_the_model(thickness, planes):
    shapes = image_shapes(ImageSettings(thickness_mm=thickness))
    assert {shape[0] for shape in shapes} == planes
    assert {shape[1:] for shape in shapes} == {(217, 181)}


@pytest.mark.parametrize(("suffix", "dtype"), [(".rawb", "u1"), (".raws", "<u2"), (".raws", ">u2")])
@pytest.mark.parametrize("planes", [2, 3])
def test_raw_images_keep_their_values(small, tmp_path, suffix, dtype, planes):
    values = np.arange(6 * planes).reshape(planes, 3, 2) + (7 if dtype == "u1" else 3000)
    (tmp_path / f"{THICK.stem}{suffix}").write_bytes(values.astype(dtype).tobytes())
    image = load_image(tmp_path, THICK)
    np.testing.assert_array_equal(image.values, values.transpose(2, 1, 0))
    assert image.spacing_mm == (1, 1, 3)
    assert image.settings == THICK


def test_minc_images_have_real_values(small, tmp_path):
    voxels = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    write_minc(tmp_path / f"{THICK.stem}.mnc.gz", voxels, real_max=510.0)
    np.testing.assert_allclose(load_image(tmp_path, THICK).values, 2 * voxels.transpose(2, 1, 0))


def test_missing_images_are_named(tmp_path):
    with pytest.raises(
        SpinforgeError, match=r"3mm_pn3_rf20.mnc.gz is missing.*download images .*--thickness 3"
    ):
        load_image(tmp_path, THICK)


def test_another_thickness_is_refused(small, tmp_path):
    path = tmp_path / f"{THICK.stem}.rawb"
    path.write_bytes(bytes(7 * 3 * 2))
    with pytest.raises(SpinforgeError, match="is not the volume its name says"):
        check_image(path, THICK)


def test_an_image_without_contrast_is_refused(small, tmp_path):
    (tmp_path / f"{THICK.stem}.rawb").write_bytes(bytes(12))
    with pytest.raises(SpinforgeError, match="holds values 0 to 0: it is no image"):
        load_image(tmp_path, THICK)


@needs_brainweb0
def test_real_image_is_a_mixture_of_the_model_it_was_made_from():
    """Axes, order and plane positions at once: any flip or shift would destroy the fit."""
    image = load_image(
        BRAINWEB0, ImageSettings(thickness_mm=5, noise_percent=0, inu_percent=0)
    ).values.numpy()
    assert image.shape == (181, 217, 36)
    labels = read_crisp(BRAINWEB0 / "normal_crisp_1mm_jemris.mat", "normal")
    # Plane k is the mean of the 1 mm planes 5k - 2 to 5k + 2; the first lacks two of them.
    mixtures = np.stack(
        [
            (labels[:, :, 3:178] == label).reshape(180, 216, 35, 5).mean(-1, dtype=np.float32)
            for label in range(10)
        ]
    ).reshape(10, -1)
    values = image[:180, :216, 1:].ravel()
    signal, *_ = np.linalg.lstsq(mixtures @ mixtures.T, mixtures @ values, rcond=None)
    residual = values - signal @ mixtures
    # The fit of the README beside the data; crisp labels lack the partial volume of 1 mm voxels.
    assert 1 - residual.var() / values.var() > 0.99
    expected = {1: 50, 2: 110, 3: 148, 4: 225, 5: 97, 6: 49, 7: 10, 8: 106, 9: 147}
    np.testing.assert_allclose(signal[1:], list(expected.values()), atol=3)


@needs_brainweb0
def test_real_fuzzy_volumes_sum_to_one_within_their_mask():
    """2 mm volumes of another grid, one of them with junk behind its gzip member."""
    shape = (91, 109, 91)
    mask, *tissues = (
        read_volume(BRAINWEB0 / f"normal_2mm_{name}.rawb.gz", [shape]).astype(int)
        for name in ("mask", "csf", "gm", "wm")
    )
    total = sum(tissues)[mask == 1]
    assert mask.any()
    np.testing.assert_array_equal(total, 255)


def test_a_plane_is_the_one_whose_centre_is_nearest(small, tmp_path):
    """Of 3 mm slices: plane 0 at 0 mm, plane 1 at 3 mm, plane 2, the last, at 6 mm."""
    values = np.arange(18, dtype=np.uint8).reshape(3, 3, 2)
    (tmp_path / f"{THICK.stem}.rawb").write_bytes(values.tobytes())
    image = load_image(tmp_path, THICK)
    for height_mm, plane in ((0, 0), (1.4, 0), (1.6, 1), (4, 1), (5, 2), (50, 2), (-1, 0)):
        np.testing.assert_array_equal(image.plane_at(float(height_mm)), values[plane].T)


def test_the_image_with_least_noise_then_bias_then_the_nearest_thickness_is_taken(tmp_path):
    def there(**settings):
        made = ImageSettings(modality="t2", **settings)
        (tmp_path / f"{made.stem}.rawb").touch()
        return made

    def chosen(model="normal"):
        return cleanest_image(tmp_path, "t2", model, 4.0)

    assert chosen() is None
    noisy = there(thickness_mm=3, noise_percent=3, inu_percent=0)
    assert chosen() == noisy
    uneven = there(thickness_mm=3, noise_percent=0, inu_percent=20)
    assert chosen() == uneven
    thick = there(thickness_mm=9, noise_percent=0, inu_percent=0)
    assert chosen() == thick
    nearer = there(thickness_mm=5, noise_percent=0, inu_percent=0)
    assert chosen() == nearer
    assert chosen("msles2") is None
    assert chosen("msles1") is None  # BrainWeb has no images of it
    assert cleanest_image(tmp_path, "t1", "normal", 4.0) is None
