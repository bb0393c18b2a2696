"""A headless Chromium that opens pages as a reader would, for the tests of reports and dashboards.

Nothing is downloaded: the browser is the one of the system, `chromium` or `google-chrome`, or the
one that $SPINFORGE_CHROMIUM names.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""The browser itself is to ask nothing of the network either."""

PHONE, DESK = (390, 844), (1280, 900)
"""Width and height of the window [CSS pixels]."""


def chromium() -> str:
    """Path of the system's Chromium; skips the test, with the reason, where there is none."""
    named = os.environ.get("SPINFORGE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not Path(found).exists():
        pytest.skip(
            f"no browser: none of {', '.join(NAMES)} is on the path. Install one, or name it in "
            f"$SPINFORGE_CHROMIUM"
        )
    return found


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """Start the browser once, for all tests of a module."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page and what it did that a reader does not see.

    Attributes:
        page: The page itself.
        errors: Messages of the console that are errors or warnings, and exceptions of scripts.
        requests: URL of everything it asked for, pictures inside the page (data:) left out.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window; 0 unless it scrolls sideways."""
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return int(wide)


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESK,
    dark: bool = False,
    media: str = "screen",
) -> Iterator[Watched]:
    """Open a page in a window of its own, watching it from before the first request.

    Args:
        browser: Of `headless_browser`.
        url: Of the page; of a file, `path.as_uri()`.
        size: Width and height of the window [CSS pixels].
        dark: Whether the reader prefers dark pages.
        media: "screen" or "print".
    """
    scheme = "dark" if dark else "light"
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    page = context.new_page()
    watched = Watched(page)

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            watched.errors.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith("data:"):
            watched.requests.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", asked)
    try:
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto(url)
        yield watched
    finally:
        context.close()
