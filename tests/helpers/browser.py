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
def opened(page: Path, size: tuple[int, int] = DESK, scheme: str = "light") -> Iterator[Any]:
    """Open a page; fail on any console message, page error or further request."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        width, height = size
        tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.append(request.url))
        tab.goto(page.absolute().as_uri())
        yield tab
        browser.close()
    # The only request is that of the page itself.
    assert [each for each in complaints if each != page.absolute().as_uri()] == []
