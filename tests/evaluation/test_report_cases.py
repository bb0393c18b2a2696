"""Which slices are shown, and whether their pictures show them as they are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from spinforge.evaluation.report import pictures
from spinforge.evaluation.report.cases import ranked_cases
from spinforge.evaluation.report.colours import ERROR_COLOURS, GREY, TISSUE_COLOURS, rgb
from spinforge.evaluation.score import VOLUME


@pytest.fixture(scope="module")
def content(make_content):
    return make_content()


def candidates(content, network):
    """(mean Dice, subject, slice) of the slices with tissue, by brute force."""
    scores = content.scores
    rows = scores[(scores["network"] == network) & (scores["metric"] == "dice")]
    rows = rows[(rows["tissue"] == "all") & (rows["slice"] != VOLUME)]
    return sorted(
        (row.value, row.subject, row.slice)
        for row in rows.itertuples()
        if content.load_case(row.subject, row.slice).target.any()
    )


@pytest.mark.parametrize("number", [0, 1])
def test_best_median_and_worst_really_are(number, content):
    network = content.networks[number].name
    ordered = candidates(content, network)
    best, median, worst = ranked_cases(content.scores, network, content.load_case)
    assert [case.rank for case in (best, median, worst)] == ["best", "median", "worst"]
    assert worst.dice["all"] == ordered[0][0]
    assert (worst.subject, worst.slice) == ordered[0][1:]
    assert median.dice["all"] == ordered[(len(ordered) - 1) // 2][0]
    assert best.dice["all"] == ordered[-1][0]


def test_missed_slice_is_the_worst_but_an_invented_one_is_no_candidate(content):
    network = content.networks[0].name
    zero = content.scores.query(
        "network == @network and tissue == 'all' and metric == 'dice' and value == 0"
    )
    assert set(zero["slice"]) == {0, 3}  # slice 0 has no tissue, yet some was predicted
    worst = ranked_cases(content.scores, network, content.load_case)[-1]
    assert (worst.subject, worst.slice, worst.dice["all"]) == ("38", 3, 0.0)


def test_page_says_which_case_is_the_worst(page):
    assert "Worst: 38, slice 3" in page
    assert "mean Dice 0.000: CSF 0.000, GM 0.000, WM 0.000" in page


def test_pictures_are_loaded_for_the_shown_slices_only(content):
    loaded = []

    def load(subject, slice_):
        loaded.append(slice_)
        return content.load_case(subject, slice_)

    ranked_cases(content.scores, content.networks[0].name, load)
    assert set(loaded) == {0, 3}  # only where a Dice of 0 leaves open what the target holds


def decoded(uri: str, mode: str = "RGB") -> np.ndarray:
    """Pixels (row, column, colour) of a data URI."""
    kind, data = uri.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert(mode))


def test_anterior_is_up_and_the_first_phase_encoding_index_is_on_the_left():
    labels = np.zeros((5, 8), dtype=np.uint8)
    labels[0, 7] = 1  # first phase-encoding index, most anterior
    picture = decoded(pictures.label_picture(labels, TISSUE_COLOURS.values()))
    assert picture.shape == (8, 5, 3)
    assert tuple(picture[0, 0]) == rgb(TISSUE_COLOURS["CSF"])
    assert picture.reshape(-1, 3).any(axis=1).sum() == 1


def test_magnitude_keeps_black_white_and_order():
    image = np.linspace(0, 1, 200).reshape(1, 200)
    column = decoded(pictures.magnitude_picture(image))[::-1, 0]
    assert tuple(column[0]) == (0, 0, 0)
    assert tuple(column[-1]) == (255, 255, 255)
    assert (np.diff(column[:, 0].astype(int)) >= 0).all()
    assert (column == column[:, :1]).all()


def test_image_of_nothing_is_black_not_an_error():
    assert not decoded(pictures.magnitude_picture(np.zeros((3, 4)))).any()


def test_tint_is_half_transparent_on_tissue_and_invisible_elsewhere():
    labels = np.array([[0, 1, 2, 3]], dtype=np.uint8)
    column = decoded(pictures.tint_picture(labels, TISSUE_COLOURS.values()), "RGBA")[::-1, 0]
    assert list(column[:, 3]) == [0, 128, 128, 128]
    assert [tuple(pixel) for pixel in column[1:, :3]] == [*map(rgb, TISSUE_COLOURS.values())]


def test_errors_are_coloured_by_kind():
    target = np.array([[0, 1, 0, 2, 3]], dtype=np.uint8)
    predicted = np.array([[0, 0, 1, 3, 3]], dtype=np.uint8)
    column = decoded(pictures.error_picture(predicted, target))[::-1, 0]
    missed, invented, confused = map(rgb, ERROR_COLOURS.values())
    assert [tuple(p) for p in column] == [(0, 0, 0), missed, invented, confused, rgb(GREY)]


def test_mask_shows_one_stripe_per_line():
    picture = decoded(pictures.mask_picture(np.array([True, False, True]), 4))
    assert picture.shape == (4, 3, 3)
    assert (picture[:, :, 0] == [255, 0, 255]).all()
