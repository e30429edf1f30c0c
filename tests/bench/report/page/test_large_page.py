"""``vitbench report --page`` as a subprocess, for a run of hundreds of rows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.browser import DESK, PHONE, opened
from overhead import multiplied

REFERENCE = Path(__file__).parents[4] / "results" / "reference" / "amd-epyc-zen4-2-cores"
CODE = """
import sys
from bench.__main__ import cli
cli(["report", "large", "--page"], standalone_mode=False)
print(sorted({"torch", "pandas"} & set(sys.modules)), file=sys.stderr)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    assert multiplied(REFERENCE, folder / "large", 4) > 250
    return folder


@pytest.fixture(scope="module", name="done")
def _done(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_nothing_but_the_page_is_written(
    folder: Path, done: subprocess.CompletedProcess[str]
) -> None:
    """Only the page is written and its path printed; torch is not imported."""
    assert (done.returncode, done.stdout) == (0, "large/report.html\n"), done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert {path.name for path in (folder / "large").iterdir()} == {
        *("plan.json", "environment.json", "journal.jsonl", "passes", "report.html"),
    }


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_every_row_is_there(
    browser: Any, folder: Path, done: subprocess.CompletedProcess[str], size: tuple[int, int]
) -> None:
    """Every row is in the table and in the opened plots; nothing overflows."""
    assert done.returncode == 0
    with opened(browser, folder / "large" / "report.html", size) as tab:
        rows = tab.locator("table.rows tbody tr").count()
        assert rows > 250
        closed = tab.locator("details:not([open])")
        assert closed.count() > 0
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert closed.count() == 0
        lines = tab.locator("#speedup tbody tr:not(.group)").count()
        assert lines == rows
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
