"""Surface distances: planted answers, an independent authority, and the empty-mask policy."""

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist, directed_hausdorff

from spinforge.evaluation.surface import boundary, surface_distance, surface_distances

SPACING_MM = (0.75, 2.0)  # both exact in binary, so that equality can be asked for


def square(shape: tuple[int, int], corner: tuple[int, int], size: int) -> np.ndarray:
    region = np.zeros(shape, dtype=bool)
    region[corner[0] : corner[0] + size, corner[1] : corner[1] + size] = True
    return region


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 5), (31, 20)], ids=str)
def test_boundary_is_region_minus_erosion_by_a_cross(shape):
    region = np.random.default_rng(0).random(shape) < 0.8
    np.testing.assert_array_equal(boundary(region), region & ~ndimage.binary_erosion(region))


def test_two_pixels_by_hand():
    first, second = square((6, 8), (1, 1), 1), square((6, 8), (4, 5), 1)
    distance = surface_distance(first, second, spacing_mm=(1.0, 1.0))
    assert (distance.hausdorff_mm, distance.hd95_mm) == (5.0, 5.0)  # 3-4-5 triangle


@pytest.mark.parametrize("shift", [1, 3, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_shifted_square_is_as_far_as_its_shift(shift, axis):
    target = square((40, 33), (6, 5), 12)
    predicted = np.roll(target, shift, axis)
    distance = surface_distance(predicted, target, spacing_mm=SPACING_MM)
    # The leading side is `shift` pixels away; no pixel inside the other square is farther.
    assert distance.hausdorff_mm == shift * SPACING_MM[axis]


def test_diagonal_shift_is_the_hypotenuse():
    target = square((30, 30), (4, 4), 10)
    predicted = np.roll(target, (4, 2), (0, 1))
    distance = surface_distance(predicted, target, spacing_mm=SPACING_MM)
    assert distance.hausdorff_mm == math.hypot(4 * 0.75, 2 * 2.0)


def test_region_at_the_image_border_has_a_boundary_there():
    target = np.ones((5, 9), dtype=bool)
    predicted = square((5, 9), (2, 4), 1)
    distance = surface_distance(predicted, target, spacing_mm=(1.0, 1.0))
    assert distance.hausdorff_mm == math.hypot(2, 4)  # from the image's corner to its centre


def test_speck_moves_hausdorff_but_not_hd95():
    target = square((60, 40), (5, 5), 20)
    speck = target | square((60, 40), (54, 10), 1)
    distance = surface_distance(speck, target, spacing_mm=(1.0, 1.0))
    assert distance.hausdorff_mm == 30.0  # row 54 to the last row of the square, 24
    assert distance.hd95_mm == 0.0  # one of 77 boundary pixels is below 5 percent


def test_hd95_is_the_larger_direction_not_the_pool_of_both():
    target = square((60, 40), (5, 5), 20)  # 76 boundary pixels
    predicted = target.copy()
    predicted[54, 8:20:2] = True  # 6 specks: 7 percent of one boundary, 4 percent of both
    distance = surface_distance(predicted, target, spacing_mm=(1.0, 1.0))
    assert distance.hd95_mm == 30.0
    assert distance == surface_distance(target, predicted, spacing_mm=(1.0, 1.0))


def test_identical_regions_are_at_distance_zero():
    region = np.random.default_rng(2).random((9, 14)) < 0.4
    distance = surface_distance(region, region, spacing_mm=SPACING_MM)
    assert (distance.hausdorff_mm, distance.hd95_mm) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [(24, 24), (17, 40), (41, 6)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_agrees_with_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((2, *shape)), (0, 2, 2))
    predicted, target = smooth > np.quantile(smooth, 0.6)
    spacing = (0.9, 1.7)
    points = [np.argwhere(boundary(region)) * spacing for region in (predicted, target)]
    expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    found = surface_distance(predicted, target, spacing_mm=spacing)
    # The same few operations in float64, in another order.
    assert found.hausdorff_mm == pytest.approx(expected, rel=1e-14)
    assert found.hd95_mm <= found.hausdorff_mm
    assert found == surface_distance(target, predicted, spacing_mm=spacing)


def test_assd_counts_every_outline_pixel_of_both_once():
    target = square((9, 12), (2, 2), 1)
    predicted = target | square((9, 12), (2, 6), 1) | square((9, 12), (5, 2), 1)
    distance = surface_distance(predicted, target, spacing_mm=(2.0, 1.0))
    assert distance.assd_mm == (0 + 4 + 6 + 0) / 4


def test_surface_dice_counts_what_is_within_the_tolerance():
    target = square((9, 12), (2, 2), 1)
    predicted = target | square((9, 12), (2, 6), 1) | square((9, 12), (5, 2), 1)
    found = {
        tolerance: surface_distance(
            predicted, target, spacing_mm=(2.0, 1.0), tolerance_mm=tolerance
        ).surface_dice
        for tolerance in (0.0, 3.9, 4.0, 6.0)
    }
    assert found == {0.0: 2 / 4, 3.9: 2 / 4, 4.0: 3 / 4, 6.0: 1.0}


def test_tolerance_of_whole_pixels_holds_where_their_size_is_rounded():
    target = square((9, 12), (2, 2), 1)
    predicted = np.roll(target, 3, axis=1)
    found = surface_distance(predicted, target, spacing_mm=(0.1, 0.1), tolerance_mm=0.3)
    assert found.surface_dice == 1.0


@pytest.mark.parametrize("shift", [1, 2, 5, 11])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifted_box_in_a_volume_of_thick_slices(shift, axis):
    spacing = (3.0, 0.75, 1.5)
    target = np.zeros((20, 24, 22), dtype=bool)
    target[4:7, 3:9, 4:10] = True
    predicted = np.roll(target, shift, axis)
    distance = surface_distance(predicted, target, spacing_mm=spacing)
    assert distance.hausdorff_mm == shift * spacing[axis]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.2, 5.0), (40.0, 0.3)], ids=str)
def test_far_and_near_pixels_agree_with_scipy(spacing):
    rng = np.random.default_rng(5)
    maps = rng.random((2, 70, 50)) < 0.002
    points = [np.argwhere(region) * spacing for region in maps]
    directed = [cdist(*points).min(1), cdist(*points[::-1]).min(1)]
    found = surface_distance(*maps, spacing_mm=spacing)
    assert found.hausdorff_mm == pytest.approx(max(d.max() for d in directed), rel=1e-14)
    expected = max(np.percentile(d, 95) for d in directed)
    assert found.hd95_mm == pytest.approx(expected, rel=1e-14)
    assert found.assd_mm == pytest.approx(np.concatenate(directed).mean(), rel=1e-14)


def test_classes_and_slices_do_not_disturb_each_other():
    rng = np.random.default_rng(6)
    predicted, target = rng.integers(0, 4, (2, 5, 13, 17), dtype=np.uint8)
    target[1][target[1] == 2] = 0
    predicted[2][predicted[2] == 3] = 1
    together = surface_distances(predicted, target, spacing_mm=SPACING_MM, classes=4)
    for number, code in np.ndindex(5, 3):
        regions = predicted[number] == code + 1, target[number] == code + 1
        alone = surface_distance(*regions, spacing_mm=SPACING_MM)
        for name, values in vars(together).items():
            assert values[number, code] == pytest.approx(getattr(alone, name), rel=1e-14)


def test_both_empty_is_undefined():
    empty = np.zeros((4, 5), dtype=bool)
    distance = surface_distance(empty, empty, spacing_mm=SPACING_MM)
    assert math.isnan(distance.hausdorff_mm)
    assert math.isnan(distance.hd95_mm)
    assert math.isnan(distance.assd_mm)
    assert math.isnan(distance.surface_dice)


def test_missed_and_invented_regions_are_infinitely_far():
    empty, region = np.zeros((4, 5), dtype=bool), square((4, 5), (1, 1), 2)
    for pair in [(empty, region), (region, empty)]:
        distance = surface_distance(*pair, spacing_mm=SPACING_MM)
        assert (distance.hausdorff_mm, distance.hd95_mm) == (math.inf, math.inf)
        assert (distance.assd_mm, distance.surface_dice) == (math.inf, 0.0)


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_impossible_spacing_is_refused(spacing):
    region = square((4, 5), (1, 1), 2)
    with pytest.raises(ValueError, match="need positive, finite spacings in mm"):
        surface_distance(region, region, spacing_mm=spacing)


def test_wrong_number_of_spacings_is_refused():
    region = square((4, 5), (1, 1), 2)
    with pytest.raises(ValueError, match="need a spacing for each of 2 axes"):
        surface_distance(region, region, spacing_mm=(1.0, 1.0, 1.0))


def test_negative_tolerance_is_refused():
    region = square((4, 5), (1, 1), 2)
    with pytest.raises(ValueError, match="need a tolerance of 0 mm or more, got -1"):
        surface_distance(region, region, spacing_mm=(1.0, 1.0), tolerance_mm=-1.0)
