"""A real browser for the report page, if installed: Debian's chromium in CI."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE, DESK = (390, 844), (1440, 900)
# A4 landscape without margins at 96 dpi.
PAPER = (1047, 718)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser, which opens any number of pages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, page: Path, size: tuple[int, int] = DESK, scheme: str = "light"
) -> Iterator[Any]:
    """Open a page as in a new browser; fail on any console message, error or further request."""
    complaints: list[str] = []
    width, height = size
    room = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab = room.new_page()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url))
    tab.goto(page.absolute().as_uri())
    yield tab
    room.close()
    # The only request is that of the page itself.
    assert [each for each in complaints if each != page.absolute().as_uri()] == []
