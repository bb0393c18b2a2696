"""The four pictures of one slice."""

import numpy as np
import pytest

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.report.panels import compared_panels


def panels(network):
    target = np.zeros((4, 5), dtype=np.uint8)
    found = target.copy()
    found[0] = 1  # a quarter
    images = CaseImages(np.ones((4, 5), dtype=np.float32), target, {"net": found})
    classes = ("background", "GM")
    return compared_panels(images, network, "head-0", seen="Image", classes=classes, name="p")


def test_four_pictures_of_which_two_lie_over_the_image():
    found = panels("net")
    assert [panel.title for panel in found] == [
        "Image", "Ground truth", "Prediction", "Errors: 25.0% of pixels",
    ]  # fmt: skip
    assert [(panel.name, panel.beneath) for panel in found] == [
        ("p", ""), ("", "p"), ("", "p"), ("", ""),
    ]  # fmt: skip
    truth, prediction = (panel.picture for panel in found[1:3])
    assert truth != prediction


def test_labels_of_another_network_are_not_shown():
    with pytest.raises(ValueError, match="no prediction of 'other' for head-0"):
        panels("other")
