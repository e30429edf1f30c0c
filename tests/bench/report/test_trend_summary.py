"""bench.report.trend_summary: Markdown with a chart in Mermaid's grammar, whatever the names.

``tests/golden/trend.md`` was drawn with Mermaid 11; the pattern below follows its grammar,
``packages/mermaid/src/diagrams/xychart/parser/xychart.jison``.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.files.history_csv import Point
from bench.report.trend import noise_lines, trend_line
from bench.report.trend_series import by_series, changes_of
from bench.report.trend_summary import chart, quoted, trend_markdown
from helpers.histories import SLOWER, STEADY, history, point
from helpers.reports import check_golden

_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_TEXT = r'"[^"`;#]*"'
GRAMMAR = (
    r"```mermaid",
    r"---",
    r"config:",
    r"  themeVariables:",
    r"    xyChart:",
    r'      plotColorPalette: "#[0-9A-F]{6}(?:, #[0-9A-F]{6})*"',
    r"---",
    r"xychart-beta",
    rf"    title {_TEXT}",
    rf"    x-axis {_TEXT} \d+ --> \d+",
    rf"    y-axis {_TEXT} {_NUMBER} --> {_NUMBER}",
)
LINE = rf"    line {_TEXT} \[({_NUMBER}(?:, {_NUMBER})*)\]"


def check_grammar(lines: list[str]) -> list[list[float]]:
    """Check a chart line by line; return the values of each series."""
    end = lines.index("```")
    for line, pattern in zip(lines, GRAMMAR, strict=False):
        assert re.fullmatch(pattern, line), line
    found = [re.fullmatch(LINE, line) for line in lines[len(GRAMMAR) : end]]
    assert found
    assert all(found), lines
    return [[float(each) for each in match[1].split(", ")] for match in found if match]


def test_summary_is_golden() -> None:
    """Lines, table, chart and legend of a history on two kinds of machine with a change on both."""
    series = by_series(history(second=1.4))
    changed = changes_of(series)
    lines = [trend_line(series, changed, 0.05), *noise_lines(series)]
    check_golden("trend.md", trend_markdown(series, changed, lines) + "\n")


def test_values_are_percent_of_the_median_of_a_kind() -> None:
    """The change is seen as its size, not the second kind's level; all values fit the axis."""
    series = by_series(history(second=1.4))
    lines = list(chart(series, changes_of(series)))
    slower, steady = check_grammar(lines)
    assert len(slower) == len(steady) == 20
    assert max(slower[:10]) < min(slower[10:])
    assert sum(slower[10:]) / sum(slower[:10]) == pytest.approx(1.1, abs=0.01)
    assert all(95 < value < 105 for value in steady)
    axis = next(line for line in lines if "y-axis" in line)
    low, high = (float(each) for each in axis.rpartition('"')[2].split("-->"))
    assert low < min(*slower, *steady) <= max(*slower, *steady) < high


def test_the_most_important_series_are_drawn() -> None:
    """At most three: changed ones, then whole models; those the last run lacks are left out."""
    more = [
        point(f"attention B/16 {part} b1 forward cpu sdpa", day, 1.0)
        for part in ("model", "attention")
        for day in range(1, 21)
    ]
    gone = [point("gone B/16 model b1 forward cpu x", day, 1.0) for day in range(1, 20)]
    series = by_series([*history(), *more, *gone])
    legend = [line for line in chart(series, changes_of(series)) if "as a ratio to" in line]
    assert [line.split("`")[1].split(" ")[0] for line in legend] == [
        "precision",
        "attention",
        "attention",
    ]
    assert SLOWER in legend[0]
    assert " model " in legend[1]


def test_only_the_last_runs_are_drawn() -> None:
    """Forty runs at most, and only those that have every series."""

    def days(name: str, missing: int) -> list[Point]:
        return [
            point(name, 1, 1.0, run_id=f"{n:03}", time=f"2026-01-01T00:{n:02}:00+00:00")
            for n in range(59)
            if n != missing
        ]

    series = by_series([*days("a", 50), *days("b", 7)])
    first, second = check_grammar(list(chart(series, [])))
    assert len(first) == len(second) == 40
    few = by_series([point("a", day, 1.0) for day in (1, 2)])
    assert list(chart(few, [])) == []


@given(
    name=st.text(min_size=1).filter(lambda text: text.strip()),
    other=st.sampled_from(
        ['a"; b', "x`y", "```", '%%{init: {"theme":"dark"}}%%', "#quot;", "|<b>"]
    ),
)
def test_any_name_can_be_drawn(name: str, other: str) -> None:
    """No name of a series ends a text, a fence or a line of the chart."""
    points = [point(f"{name}{other}", day, 1.0) for day in range(1, 5)]
    lines = list(chart(by_series(points), []))
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert len(check_grammar(lines)) == 1
    assert sum(line.startswith("```") for line in lines) == 2
    assert not any("%%" in line for line in lines[: lines.index("```")])


@given(text=st.text())
def test_quoted_text_is_one_token(text: str) -> None:
    """A quoted text has no quote, backtick, entity or line break inside."""
    assert re.fullmatch(_TEXT, quoted(text))
    assert len(quoted(text).splitlines()) == 1


def test_a_quiet_history_says_so() -> None:
    """Without a change there is no table."""
    series = by_series([each for each in history() if each.series == STEADY])
    text = trend_markdown(series, [], [trend_line(series, [], 0.05)])
    assert text.startswith("**1 series over 20 runs: no lasting change.**")
    assert "| series |" not in text
