"""bench.cli.output: the summary of a run, and the tables that are asked for below it."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.output import _print, _shown
from bench.report.tables.overview import MOST_LINES
from bench.runs.state import RunState, load

REFERENCE = Path("results/reference")
VERDICTS = "attention: against mha, on AMD EPYC"
MEMORY = "attention: memory, on AMD EPYC"
PARTS = "How each part was chosen"
# Lines of the run's source and of the files written, which follow.
_SOURCE_LINES = 4


@pytest.fixture(scope="module", name="kept")
def _kept() -> RunState:
    return load(REFERENCE / "amd-epyc-zen4-2-cores")


def printed(results: RunState, views: Sequence[str] | None, width: int = 100) -> str:
    """Return what a terminal shows of a run, without the lines on its source."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        _print(console, _shown(results.report_data(results.aim), results, views, console))
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def test_a_kept_run_fits_a_screen(kept: RunState) -> None:
    """The summary of the reference run, which is of an older kind, has at most 60 lines."""
    text = printed(kept, None)
    assert len(text.splitlines()) + _SOURCE_LINES <= MOST_LINES
    assert text.startswith("What to choose by latency")
    assert not any(each in text for each in (VERDICTS, MEMORY, PARTS))


@pytest.mark.parametrize(
    ("views", "shown"),
    [
        ((), set()),
        (("decision",), {PARTS}),
        (("verdicts",), {VERDICTS}),
        (("memory",), {MEMORY}),
        (("decision", "verdicts", "memory"), {PARTS, VERDICTS, MEMORY}),
    ],
)
def test_views_follow_the_summary(kept: RunState, views: tuple[str, ...], shown: set[str]) -> None:
    """Below the summary are the tables of the views that are asked for, and no others."""
    text = printed(kept, views, 140)
    below = text[text.index("What decided it") :]
    assert {each for each in (PARTS, VERDICTS, MEMORY) if each in below} == shown


@pytest.mark.parametrize("views", [None, ("memory",)])
def test_without_a_choice_the_verdicts_are_shown(views: tuple[str, ...] | None) -> None:
    """A run without anything to choose shows its verdicts, whatever else is asked for."""
    text = printed(load(REFERENCE / "calibration-amd-epyc-zen4-2-cores"), views, 140)
    assert "compare: against " in text
    assert "What to choose" not in text
    assert "Timed calls took " in text
