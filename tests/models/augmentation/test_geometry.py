"""Images and labels move together, by exactly the map that was asked for."""

import math

import pytest
import torch

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.augmentation.geometry import (
    flipped,
    placed_image,
    placed_labels,
    placement,
)

SIZE = (37, 50)


def theta(*, radians=0.0, zoom=1.0, window=1.0, place=(0.0, 0.0)):
    return placement(
        torch.tensor([radians]),
        torch.tensor([zoom]),
        torch.tensor([window]),
        torch.tensor([place]),
        SIZE,
    )


def sources(*, radians=0.0, zoom=1.0, window=1.0, place=(0.0, 0.0)):
    """Where each output pixel comes from, from the middle of the slice, by the textbook."""
    height, width = SIZE
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
    share, cosine, sine = window / zoom, math.cos(radians), math.sin(radians)
    from_y = share * (cosine * y + sine * x) + (1 - window) * height / 2 * place[0]
    from_x = share * (cosine * x - sine * y) + (1 - window) * width / 2 * place[1]
    return from_y, from_x


def scene(y, x):
    """Labels of an object without any symmetry, as a function of the place."""
    labels = torch.zeros_like(y * x, dtype=torch.int64)
    labels[(y / 14) ** 2 + (x / 19) ** 2 < 1] = 1
    labels[(y + 3) ** 2 + ((x - 6) / 1.5) ** 2 < 25] = 2
    labels[(y > 4) & (x < -2) & (y - x < 16)] = 3
    return labels


MAPS = [
    {"radians": 0.3},
    {"zoom": 0.8},
    {"window": 0.7, "place": (0.5, -1.0)},
    {"radians": -1.1, "zoom": 1.2, "window": 0.9, "place": (-0.3, 0.6)},
]


@pytest.mark.parametrize("axes", [(True, False), (False, True), (True, True)], ids=str)
def test_a_flip_is_its_own_inverse_to_the_bit(random_images, axes):
    image, flips = random_images(2, 3, *SIZE), torch.tensor([axes, (False, False)])
    once = flipped(image, flips)
    assert torch.equal(flipped(once, flips), image)
    turned = [axis for axis, is_turned in zip((-2, -1), axes, strict=True) if is_turned]
    assert torch.equal(once[0], image[0].flip(turned))
    assert torch.equal(once[1], image[1])


@pytest.mark.parametrize("moved", MAPS, ids=str)
def test_a_linear_image_takes_the_values_of_where_it_comes_from(moved):
    """Bilinear interpolation is exact for planes; float32 rounds places of 25 pixels to 3e-6."""
    y, x = sources()
    from_y, from_x = sources(**moved)
    plane = (0.5 * y - 0.2 * x + 3).float()[None, None]
    found = placed_image(plane, theta(**moved))[0, 0]
    inside = (from_y.abs() <= (SIZE[0] - 1) / 2 - 0.01) & (from_x.abs() <= (SIZE[1] - 1) / 2 - 0.01)
    expected = (0.5 * from_y - 0.2 * from_x + 3).float()
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=3e-5)
    outside = (from_y.abs() > (SIZE[0] + 1) / 2) | (from_x.abs() > (SIZE[1] + 1) / 2)
    assert not found[outside].any()


@pytest.mark.parametrize("moved", MAPS, ids=str)
def test_moved_labels_are_the_labels_of_the_moved_object(moved):
    """But for pixels whose origin is within half a pixel of an edge, where the nearest decides."""
    from_y, from_x = sources(**moved)
    found = placed_labels(scene(*sources())[None], theta(**moved))[0]
    expected = scene(from_y, from_x)
    near = [-0.51, 0.0, 0.51]
    neighbours = torch.stack([scene(from_y + dy, from_x + dx) for dy in near for dx in near])
    is_clear = (neighbours == expected).all(0)
    is_inside = (from_y.abs() < SIZE[0] / 2 - 0.01) & (from_x.abs() < SIZE[1] / 2 - 0.01)
    assert is_clear[is_inside].float().mean() > 0.75
    assert torch.equal(found[is_clear & is_inside], expected[is_clear & is_inside])
    is_outside = (from_y.abs() > SIZE[0] / 2 + 0.01) | (from_x.abs() > SIZE[1] / 2 + 0.01)
    assert (found[is_outside] == IGNORE_INDEX).all()
    for label in (1, 2, 3):
        assert (found == label).sum() > 20  # nothing of the object got lost


def test_pixels_without_a_label_stay_so():
    target = torch.full((1, *SIZE), IGNORE_INDEX)
    target[:, :, :20] = 255
    found = placed_labels(target, theta())
    assert torch.equal(found, target)


def test_the_map_of_nothing_leaves_an_image_alone(random_images):
    """To rounding: the places are computed in float32."""
    image = random_images(1, 2, *SIZE)
    torch.testing.assert_close(placed_image(image, theta()), image, rtol=0, atol=3e-5)


def test_items_move_each_in_its_own_way(random_images):
    image = random_images(2, 1, *SIZE)
    both = torch.cat([theta(**MAPS[0]), theta(**MAPS[2])])
    moved = placed_image(image, both)
    for number, one in enumerate(both.split(1)):
        alone = placed_image(image[number : number + 1], one)
        assert torch.equal(moved[number : number + 1], alone)
