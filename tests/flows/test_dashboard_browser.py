"""The dashboard in headless Chromium: what a reader sees, and what the page does unseen."""

from urllib.parse import urlsplit

import pytest
from browser import PHONE, headless_browser, opened
from planted_robustness import REGRESSION
from planted_server import planted_server
from playwright.sync_api import expect

from spinforge.evaluation.dashboard.page import TABS

CHART = '[data-testid="stVegaLiteChart"] svg'
CHARTS = {"Overview": 0, "Curves": 3, "Compare": 2, "Samples": 0, "Runs": 1}
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser():
    with headless_browser() as found:
        yield found


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    with planted_server(tmp_path_factory.mktemp("served")) as (_, port):
        yield f"http://127.0.0.1:{port}"


def settled(page):
    """Wait until the server has answered and the page is drawn."""
    page.get_by_test_id("stApp").wait_for(timeout=PATIENCE_MS)
    page.wait_for_function(
        "document.querySelector('[data-test-script-state=\"notRunning\"]') !== null",
        timeout=PATIENCE_MS,
    )
    expect(page.get_by_role("tabpanel").first).to_be_visible(timeout=PATIENCE_MS)


def require_quiet(watched):
    """Neither an error nor a request to any other machine."""
    assert watched.errors == []
    assert watched.requests
    assert {urlsplit(url).hostname for url in watched.requests} == {"127.0.0.1"}


def opened_tab(browser, address, tab, **options):
    return opened(browser, f"{address}/?tab={tab}", **options)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"size": PHONE}], ids=["", "dark", "phone"])
def test_every_tab_has_its_figures_without_error_or_request_to_elsewhere(browser, address, look):
    with opened_tab(browser, address, TABS[0], **look) as watched:
        page = watched.page
        for tab in TABS:
            page.get_by_role("tab", name=tab).click()
            settled(page)
            expect(page.locator(CHART)).to_have_count(CHARTS[tab], timeout=PATIENCE_MS)
            if tab == "Curves":
                page.get_by_text("The figures as a table").click()
            expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
            if tab == "Samples":
                pictures = page.locator(".sf-panels img")
                expect(pictures).to_have_count(12)
                assert all(pictures.evaluate_all("all => all.map(one => one.naturalWidth > 0)"))
            assert page.get_by_test_id("stException").count() == 0
            assert watched.overflow() == 0
        require_quiet(watched)


def test_dark_mode_follows_the_system(browser, address):
    def ground(dark):
        with opened_tab(browser, address, "Overview", dark=dark) as watched:
            settled(watched.page)
            colour = watched.page.get_by_test_id("stApp").evaluate(
                "one => getComputedStyle(one).backgroundColor"
            )
            return sum(map(int, colour[4:-1].split(",")))

    assert ground(dark=True) < 150
    assert ground(dark=False) > 600


def remove(page, label, names):
    """Take names out of a filter."""
    for name in names:
        box = page.get_by_test_id("stMultiSelect").filter(has_text=label)
        box.get_by_role("button", name=f"Remove {name}").click()
        expect(box.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
        settled(page)


def test_filters_leave_one_line_with_the_planted_regression(browser, address):
    model, transform, level = REGRESSION
    with opened_tab(browser, address, "Curves") as watched:
        page = watched.page
        settled(page)
        expect(page.locator(CHART)).to_have_count(3, timeout=PATIENCE_MS)
        expect(page.locator(f"{CHART} .mark-line path")).to_have_count(9)
        remove(page, "Networks", ["steady", "fading"])
        remove(page, "Corruptions", ["noise", "inu"])
        expect(page.locator(CHART)).to_have_count(1, timeout=PATIENCE_MS)
        expect(page.locator(f"{CHART} .mark-line path")).to_have_count(1)
        marks = page.locator(f"{CHART} .mark-symbol path")
        expect(marks).to_have_count(6)
        labels = marks.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        figures = [dict(part.split(": ") for part in label.split("; ")) for label in labels]
        assert {one["network"] for one in figures} == {model}
        means = {int(one["severity"]): float(one["mean"]) for one in figures}
        assert min(means, key=means.__getitem__) == level
        assert min(value for key, value in means.items() if key != level) - means[level] > 0.05
        assert page.get_by_text(transform, exact=True).first.is_visible()
        require_quiet(watched)


def choose(page, label, name):
    """Choose by keyboard alone, as a reader without a mouse does."""
    box = page.get_by_role("combobox", name=label, exact=True)
    box.focus()
    box.press("Control+a")
    box.press_sequentially(name)
    page.get_by_role("option", name=name).first.wait_for()
    box.press("Enter")
    settled(page)


def test_the_regression_is_in_the_sample_browser_and_the_keyboard_gets_there(browser, address):
    with opened_tab(browser, address, "Overview") as watched:
        page = watched.page
        settled(page)
        page.get_by_role("tab", name="Overview").focus()
        for name in TABS[1 : TABS.index("Samples") + 1]:
            page.keyboard.press("ArrowRight")
            # As a reader does, who looks before pressing again: keys pressed faster than the page
            # is drawn can be lost.
            expect(page.get_by_role("tab", name=name, selected=True)).to_be_focused()
            settled(page)
        page.keyboard.press("Enter")
        expect(page.locator(".sf-panels")).to_have_count(2, timeout=PATIENCE_MS)
        settled(page)
        choose(page, "Network", "broken")
        choose(page, "Corruption", "motion")
        slider = page.get_by_role("slider")
        expect(slider).to_have_count(1)  # the old one lingers while the page redraws
        slider.focus()
        for _ in range(2):  # from level 5
            slider.press("ArrowLeft")
        expect(page.get_by_text("motion, level 3").first).to_be_visible(timeout=PATIENCE_MS)
        settled(page)
        expect(page.locator(".sf-panels img")).to_have_count(12)
        require_quiet(watched)


def test_print_shows_the_figures_and_not_the_filters(browser, address):
    with opened_tab(browser, address, "Compare", media="print") as watched:
        page = watched.page
        expect(page.locator(CHART)).to_have_count(2, timeout=PATIENCE_MS)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        pages = page.pdf(format="A5").count(b"/Type /Page\n")
        assert pages > 1  # not what fits into the window
