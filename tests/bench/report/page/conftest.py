"""One browser for the tests of a file."""

from collections.abc import Iterator
from typing import Any

import pytest

from helpers.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser, or skip the test where there is none."""
    with chromium() as started:
        yield started
