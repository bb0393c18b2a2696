"""The data card's page: self-contained, small, readable by machines, and what it says."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from spinforge.datasets.card.content import Card, CardTable, Picture, PictureRow
from spinforge.evaluation.card.page import card_html, card_markdown
from spinforge.evaluation.card.pictures import UNLABELLED, picture_uri
from spinforge.evaluation.report import colours

CLASSES = ("background", "CSF", "GM", "<other>")


def noisy_row(name: str, pictures: int, shape=(216, 180)) -> PictureRow:
    rng = np.random.default_rng(len(name))
    images = [Picture(f"level {i}", rng.random(shape, dtype=np.float32)) for i in range(pictures)]
    return PictureRow(name, "1: sigma <0.1>", images, (1.0, 1.0))


@pytest.fixture
def card() -> Card:
    return Card(
        title="runs/<set>.zarr",
        summary="A set & more.",
        facts={"Content": {"subjects": "2"}},
        classes=CLASSES,
        tables=[
            CardTable("Subjects", ["Subject", "hash"], [["a|b", "f" * 64], ["unlabelled", "1"]])
        ],
        examples=[noisy_row("example", 3)],
        corruptions=[noisy_row("noise", 6)],
        settings={"noise.percent": "10"},
    )


class Checker(HTMLParser):
    """Collects what a page would load and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.identities: list[str] = []
        self.missing_alt = 0
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "src" in values:
            self.sources.append(values["src"])
        if "href" in values:
            self.links.append(values["href"])
        if "id" in values:
            self.identities.append(values["id"])
        if tag == "img" and not values.get("alt"):
            self.missing_alt += 1
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_the_page_needs_nothing_else(card):
    page = card_html(card)
    found = checked(page)
    assert len(found.sources) == 9
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert found.missing_alt == 0
    assert {link[1:] for link in found.links} <= set(found.identities)
    assert not re.search(r"https?://|url\(|@import|<script", page)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_texts_are_escaped(card):
    page = card_html(card)
    assert "runs/&lt;set&gt;.zarr" in page
    assert "A set &amp; more." in page
    assert "&lt;other&gt;" in page  # the legend
    assert "<set>" not in page
    assert "unlabelled" in page


def test_fifteen_noisy_corruptions_stay_below_two_megabytes(card):
    rows = [noisy_row(f"corruption-{number}", 6) for number in range(15)]
    page = card_html(replace(card, corruptions=rows))
    assert len(page.encode()) < 2_000_000
    shown = checked(page)
    # Every corruption is still there, with its first and its strongest level.
    for number in range(15):
        assert f"corruption-{number}: level 0" in page
        assert f"corruption-{number}: level 5" in page
    assert len(shown.sources) >= 3 + 15 * 2


def test_so_many_that_not_all_can_be_shown_are_counted(card):
    rows = [noisy_row(f"corruption-{number}", 3, shape=(512, 512)) for number in range(12)]
    page = card_html(replace(card, corruptions=rows))
    assert len(page.encode()) < 2_000_000
    assert re.search(r"\d+ more are not shown", page)


def decoded(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_pictures_have_anterior_up_and_their_colours():
    labels = np.zeros((3, 2), dtype=np.uint8)
    labels[2, 1] = 1  # anterior, on the right
    labels[0, 0] = 255
    shown = decoded(picture_uri(Picture("", labels, "labels"), CLASSES, 32))
    assert shown.shape == (3, 2, 3)
    assert tuple(shown[0, 1]) == colours.rgb(colours.TISSUE_COLOURS["CSF"])
    assert tuple(shown[2, 0]) == colours.rgb(UNLABELLED)
    assert tuple(shown[1, 0]) == (0, 0, 0)
    image = np.array([[0.0, 1.0], [2.0, 4.0]], dtype=np.float32)
    grey = decoded(picture_uri(Picture("", image, window=(0.0, 2.0)), CLASSES, 3))
    assert grey[..., 0].tolist() == [[255, 255], [0, 128]]  # row 0 of the picture is anterior
    assert len({*colours.class_colours(tuple("abcdefghijkl")).values()}) == 11


def test_photographs_keep_their_colours_and_stand_upright():
    colourful = np.zeros((3, 2, 3), dtype=np.uint8)
    colourful[0, 1] = (255, 0, 0)
    colourful[2, 0] = (0, 0, 255)
    photograph = Picture("", colourful, "photograph", top_first=True)
    np.testing.assert_array_equal(decoded(picture_uri(photograph, CLASSES, 32)), colourful)
    labels = (colourful[..., 0] > 0).astype(np.uint8)
    shown = decoded(picture_uri(Picture("", labels, "labels", top_first=True), CLASSES, 32))
    assert tuple(shown[0, 1]) == colours.rgb(colours.TISSUE_COLOURS["CSF"])


def test_markdown_says_the_same(card):
    text = card_markdown(card)
    assert text.startswith("# runs/&lt;set>.zarr\n\nA set & more.")
    assert "- subjects: 2" in text
    assert f"| a\\|b | {'f' * 64} |" in text
    assert "| noise.percent | 10 |" in text
    assert "data:" not in text
