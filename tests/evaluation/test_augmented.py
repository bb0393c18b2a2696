"""The figure of augmented slices shows images, labels and where there is no label."""

import numpy as np
import pytest

from spinforge.evaluation.augmented import augmentation_figure


def test_a_panel_has_its_image_its_outlines_and_its_unknown_pixels():
    image = np.linspace(0, 1, 12 * 10, dtype=np.float32).reshape(12, 10)
    labels = np.zeros((12, 10), dtype=np.int64)
    labels[2:5, 3:8], labels[8:10, :], labels[0] = 1, 3, -100
    figure = augmentation_figure("title", [[("first", image, labels)] * 2] * 3)
    assert len(figure.axes) == 6
    for axis in figure.axes:
        assert axis.get_title() == "first"
        shown, unknown = (picture.get_array() for picture in axis.images)
        np.testing.assert_array_equal(shown, image)
        assert (~np.ma.getmaskarray(unknown)).sum() == 10
        outlines = [c.get_paths()[0].get_extents().bounds for c in axis.collections]
        # Half a pixel inside the centres of the pixels around: on the label's own border.
        assert outlines == [
            pytest.approx((2.5, 1.5, 5, 3)),
            pytest.approx((-0.5, 7.5, 10, 2)),
        ]


def test_an_empty_slice_is_black():
    nothing = np.zeros((4, 4), dtype=np.float32)
    figure = augmentation_figure("", [[("", nothing, nothing.astype(np.int64))]])
    assert figure.axes[0].images[0].get_clim() == (0, 1)
