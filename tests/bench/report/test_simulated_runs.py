"""bench.report.calibration: the table of simulated runs, for the terminal and as Markdown."""

import re
from dataclasses import replace
from io import StringIO

from rich.console import Console

from bench.analysis.simulated_runs import Score
from bench.report.calibration import (
    SCORE_COLUMNS,
    simulated_runs_markdown,
    simulated_runs_table,
)
from helpers.reports import check_golden

SCORE = Score(
    scenario="quiet machine",
    comparisons=1000,
    coverage=0.9541,
    half_width=0.00856,
    false=0.0041,
    found_5=0.998,
    found_2=0.917,
    student_coverage=0.9468,
    student_half_width=0.01234,
)
SCORES = [SCORE, replace(SCORE, scenario="two passes", coverage=1.0, false=0.0, comparisons=20)]


def test_table() -> None:
    """Each scenario has a row with shares and widths in percent."""
    console = Console(file=StringIO(), width=140)
    with console.capture() as capture:
        console.print(simulated_runs_table(SCORES))
    text = re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)
    check_golden("simulation.txt", text)


def test_markdown() -> None:
    """In Markdown each row has a cell under every heading."""
    lines = simulated_runs_markdown(SCORES).splitlines()
    assert {line.count("|") for line in lines} == {len(SCORE_COLUMNS) + 1}
    assert lines[0] == f"| {' | '.join(column.heading for column in SCORE_COLUMNS)} |"
    assert lines[2] == f"| {' | '.join(column.cell(SCORE) for column in SCORE_COLUMNS)} |"
    assert len(lines) == 2 + len(SCORES)


def test_cells() -> None:
    """Shares have the decimal places that their number of comparisons supports."""
    assert tuple(column.cell(SCORE) for column in SCORE_COLUMNS) == (
        *("quiet machine", "1000", "95.4%", "0.86%", "0.4%", "100%", "92%", "94.7%", "1.23%"),
    )
