"""The robustness report as a reader meets it: in a browser, on a phone, in print, in the dark."""

import pytest
from browser import DESK, PHONE, headless_browser, opened

from spinforge.evaluation.robustness.report.page import write_robustness_report

BOTH = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])


@pytest.fixture(scope="module")
def browser():
    with headless_browser() as started:
        yield started


@pytest.fixture(scope="module")
def url(planted, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_robustness_report(planted, path)
    return path.as_uri()


@BOTH
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opens_without_errors_requests_or_sideways_scrolling(browser, url, size, dark):
    with opened(browser, url, size=size, dark=dark) as watched:
        assert watched.errors == []
        assert watched.requests == [url]
        assert watched.overflow() == 0


@BOTH
def test_every_figure_is_there_and_visible(browser, url, size):
    with opened(browser, url, size=size) as watched:
        page = watched.page
        # Curves and boxes by severity of three corruptions; two metrics of three tissues.
        assert page.locator("svg.plot:visible").count() == 3 + 3 + 2 * 3
        for plot in page.locator("svg.plot:visible").all():
            box = plot.bounding_box()
            assert box["width"] > 200
            assert box["height"] > 100
        pictures = page.locator(".worst img, .worst svg.picture")
        assert pictures.count() == 3 * 3 * 2 * 4
        assert all(picture.bounding_box()["width"] > 40 for picture in pictures.all())


def test_radio_buttons_switch_the_plots(browser, url):
    with opened(browser, url) as watched:
        page = watched.page
        assert page.locator(".view:visible").count() == 2
        assert page.locator(".view.dice-0").is_visible()
        page.check("#metric-hd95_mm")
        assert page.locator(".view.hd95_mm-0").is_visible()
        assert not page.locator(".view.dice-0").is_visible()
        page.check("#tissue-2")
        assert page.locator(".view.hd95_mm-2").is_visible()
        assert page.locator(".view.boxes-2").is_visible()
        assert page.locator(".view:visible").count() == 2
        label = page.locator(".view.hd95_mm-2 svg").first.get_attribute("aria-label")
        assert label.startswith("HD95 [mm], GM, against noise")


def test_networks_can_be_hidden(browser, url):
    with opened(browser, url) as watched:
        page = watched.page
        curves = page.locator(".view.dice-0 .n1")
        assert curves.first.is_visible()
        page.uncheck("#net-1")
        assert not curves.first.is_visible()
        assert page.locator(".view.dice-0 .n0").first.is_visible()


def test_works_by_keyboard_alone(browser, url):
    with opened(browser, url) as watched:
        page = watched.page
        page.keyboard.press("Tab")
        skip = page.locator("a.skip")
        assert skip.evaluate("e => e === document.activeElement")
        assert skip.bounding_box()["x"] >= 0  # not hidden once it has the focus
        page.locator("#metric-dice").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".view.hd95_mm-0").is_visible()
        page.locator(".scroll").first.focus()
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width != "0px"


def test_dark_is_dark(browser, url):
    grounds = []
    for dark in (False, True):
        with opened(browser, url, dark=dark) as watched:
            grounds.append(watched.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]


def test_print_shows_the_mean_of_tissues_whatever_was_chosen(browser, url, tmp_path):
    with opened(browser, url) as watched:
        page = watched.page
        page.check("#metric-hd95_mm")
        page.check("#tissue-2")
        page.emulate_media(media="print")
        shown = page.locator(".view:visible")
        kinds = [view.get_attribute("class").split()[1] for view in shown.all()]
        assert kinds == ["dice-0", "hd95_mm-0", "boxes-0"]
        assert not page.locator("nav").is_visible()
        page.pdf(path=tmp_path / "report.pdf", format="A4")
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        # As wide as the paper's text: tables that are wider would be cut.
        page.set_viewport_size({"width": 718, "height": 1000})
        wide = page.evaluate(
            "[...document.querySelectorAll('table')].filter("
            "t => t.getBoundingClientRect().right > innerWidth + 1).length"
        )
        assert wide == 0
