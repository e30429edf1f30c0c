"""bench.report.tables.overview: a run on one screen."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.analysis.aim import Aim
from bench.records.row import Record
from bench.report.report_data import ReportData
from bench.report.tables.overview import MOST_LINES, overview
from bench.runs.combination import decisions
from helpers.default_run import default_run
from helpers.records import make_analysis, make_environment
from helpers.reports import check_golden

# Lines of the source (two, the first may wrap) and of the files written.
_SOURCE_LINES = 4
_PATCHER = re.compile("patcher|unfold")


def data(records: list[Record], aim: Aim | None = None, **changes: object) -> ReportData:
    """Build the report data of some rows."""
    usual = ReportData(
        run_id="20260102-030405",
        command="vitbench run",
        started="2026-01-02",
        environment=make_environment(),
        analysis=make_analysis(records),
        decisions=decisions(records, aim or Aim()),
        aim=aim or Aim(),
        spent_s=575.0,
        timed_share=0.62,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def printed(given: ReportData, width: int = 100, *, is_terminal: bool = True) -> str:
    """Return the printed summary without trailing blanks."""
    console = Console(file=StringIO(), width=width, force_terminal=is_terminal, color_system=None)
    with console.capture() as capture:
        for part in overview(given, console):
            console.print(part, soft_wrap=not is_terminal)
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def test_summary_equals_the_golden_text() -> None:
    """The summary of a run of the default size at 100 columns equals the golden text."""
    check = data(default_run(half=0.03), left=3)
    check_golden("overview_100.txt", printed(check))


@settings(deadline=None)
@given(half=st.floats(0.0005, 0.6), width=st.integers(100, 140))
def test_a_default_run_fits_a_screen(half: float, width: int) -> None:
    """However precise a run is, its summary and its source have at most 60 lines, none cut."""
    lines = printed(data(default_run(half=half)), width).splitlines()
    assert len(lines) + _SOURCE_LINES <= MOST_LINES == 60
    assert max(map(len, lines)) <= width


def test_both_answers_of_each_situation_are_given() -> None:
    """Each situation has its best of all with a certificate, then the best at full precision."""
    text = printed(data(default_run()), 400, is_terminal=False)
    lines = text.splitlines()
    best = [line for line in lines if line.startswith(("B/16 b", "L/16 b", "H/14 b"))][:6]
    full = [line for line in lines if line.startswith("  at fp32: ")]
    assert all("bf16, ×2." in line and "could make the model at most" in line for line in best)
    assert len(best) == len(full) == 6
    assert all("bf16" not in line and ". The rest: at most " in line for line in full)


def test_what_does_not_matter_is_a_sentence_instead_of_rows() -> None:
    """A factor that does not matter anywhere has one line and no row."""
    found = _PATCHER.findall(printed(data(default_run())))
    assert found == ["patcher"]
    assert "patcher does not matter: at most 0.2 % of the model." in printed(data(default_run()))


def test_undecided_rows_come_last() -> None:
    """Below the headings the open rows follow all others."""
    text = printed(data(default_run(half=0.13)))
    outcomes = re.findall(
        r" (chosen|open)\b.*$", text[text.index("What decided it") :], re.MULTILINE
    )
    assert set(outcomes) == {"chosen", "open"}
    assert outcomes == sorted(outcomes)


def test_rows_that_keep_the_default_are_left_out_first() -> None:
    """Where rows exceed the screen, those that keep the default for sure go, and are counted."""
    wide = data(default_run(half=0.15))
    many = replace(
        wide,
        environment=make_environment(load_1min=9.0),
        decisions=[
            each
            for place in range(3)
            for each in (
                replace(
                    d, situation=replace(d.situation, batch_size=d.situation.batch_size + place)
                )
                for d in wide.decisions
            )
        ],
    )
    text = printed(many)
    assert re.search(r"^\d+ more rows: --show decision$", text, re.MULTILINE)
    assert "more row" not in printed(wide)


def test_a_pipe_gets_whole_sentences() -> None:
    """In a file or a pipe a sentence is one line, so that grep finds it."""
    text = printed(data(default_run(half=0.05)), 60, is_terminal=False)
    assert re.search("^  at fp32: .*would halve it\\.$", text, re.MULTILINE)


def test_a_narrow_terminal_has_no_interval_in_the_table() -> None:
    """Below 100 columns the table has effects without intervals."""
    text = printed(data(default_run()), 80)
    table = text[text.index("What decided it") :]
    assert "+105 %" in table
    assert "(" not in table
    assert max(map(len, table.splitlines())) <= 80


def test_warnings_come_before_the_trust() -> None:
    """A warning of the machine keeps its remedy."""
    text = printed(data(default_run(), environment=make_environment(load_1min=9.0)))
    assert text.index("Warning: ") < text.index("Controls: ") < text.index("What decided it")


@pytest.mark.parametrize("objective", ["memory", "energy", "throughput"])
def test_other_objectives_have_no_bounds(objective: str) -> None:
    """By another objective than latency neither sentence nor table has a bound."""
    text = printed(data(default_run(), Aim(objective=objective)))
    assert text.startswith(f"What to choose by {objective}")
    assert "at most" not in text[: text.index("Controls")]
    assert "others" not in text


def test_records_of_the_default_run_are_those_of_the_grid() -> None:
    """The built run has three variants, two batch sizes and two levels."""
    rows = default_run()
    assert len({(row.variant, row.batch_size) for row in rows}) == 6
    assert {row.precision for row in rows if row.factor == "attention"} == {"fp32", "bf16"}
    assert len({row.key for row in rows}) == len(rows)
