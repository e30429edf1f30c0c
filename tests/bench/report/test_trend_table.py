"""bench.report.trend_table: changes with their dates, ranges of commits and kinds of machine."""

from dataclasses import replace

from rich.console import Console

from bench.analysis.kind_shifts import KindShift
from bench.analysis.simulated_history import MethodScore
from bench.report.trend_series import by_series, changes_of
from bench.report.trend_table import (
    ChangeLine,
    also_changed,
    commits,
    holds_on,
    moved,
    simulation_table,
    trend_table,
)
from bench.report.units import signed_percent
from helpers.histories import SLOWER, STEADY, history, point

SERIES = by_series(history())
FOUND = changes_of(SERIES)
MIXED = by_series(history(second=1.4))


def text_of(table: object) -> str:
    """Return a table as wide text."""
    console = Console(width=240, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_table_names_the_commits() -> None:
    """The table has the size, date and commits of the changed series only."""
    text = text_of(trend_table(SERIES, FOUND))
    for said in (SLOWER, "2026-01-11", "1010101010..1111111111", signed_percent(FOUND[0].change)):
        assert said in text
    assert STEADY not in text
    assert "holds on" not in text, "one kind of machine"


def test_a_change_lies_within_a_range() -> None:
    """A change has a range of commits and the likeliest one."""
    (found,) = FOUND
    text = text_of(trend_table(SERIES, [replace(found, earliest=9, latest=12)]))
    assert "0909090909..1313131313" in text
    assert "1010101010..1111111111" in text


def test_the_kinds_of_a_change_are_named() -> None:
    """The table says whether a change holds on all kinds, on some, or on one."""
    (found,) = changes_of(MIXED)
    assert "all 2 kinds" in text_of(trend_table(MIXED, [found]))
    series = MIXED[SLOWER]
    first, second = found.by_kind
    others = (replace(first, change=0.1), replace(second, change=0.001, holds=False))
    assert holds_on(replace(found, by_kind=others), series) == (
        f"{first.kind} (+10.0 %), not {second.kind} (+0.1 %)"
    )
    assert holds_on(replace(found, kind=second.kind), series) == f"{second.kind} only"
    assert holds_on(replace(found, by_kind=()), series) == "all together (too few runs of each)"
    one = KindShift(kind="a", change=0.05, runs=9, holds=True)
    assert holds_on(replace(found, by_kind=(one,)), series) == "a (+5.0 %)"
    assert holds_on(FOUND[0], SERIES[SLOWER]) == ""


def test_runs_after_a_change_of_one_kind_are_its_own() -> None:
    """Runs after a change are those of its kind of machine."""
    (found,) = changes_of(MIXED)
    lines = (
        text_of(trend_table(MIXED, [found])),
        text_of(trend_table(MIXED, [replace(found, kind=found.by_kind[1].kind)])),
    )
    assert [" 10 " in line for line in lines] == [True, False]
    assert " 4 " in lines[1]


def test_a_new_torch_is_named() -> None:
    """A change of torch is named, no change is empty, and a missing commit is "unknown"."""
    one, other = point("a", 1, 1.0), point("a", 2, 1.0, torch="2.10.0")
    assert moved([one, other], 1) == "torch: 2.9.0 to 2.10.0"
    assert moved([one, one], 1) == ""
    assert commits([replace(one, commit=None), other], 1) == "unknown..0202020202"


def test_a_changed_baseline_is_named() -> None:
    """Of a ratio to the baseline, a change of the baseline at the same time is said."""
    (found,) = FOUND
    line = ChangeLine(found, replace(SERIES[SLOWER], against="fp32"), [])
    baseline = replace(found, series=SLOWER.replace("bf16", "fp32"), before=1.0, after=0.9)
    assert also_changed(line) == ""
    assert also_changed(replace(line, others=[found, baseline])) == "baseline fp32: -10.0 %"
    later = replace(baseline, index=18, earliest=17, latest=19)
    assert also_changed(replace(line, others=[later])) == ""


def test_simulated_histories_have_a_line_each() -> None:
    """Each score has its noise and change; a missing share is empty, never 0."""
    score = MethodScore(
        method="some method",
        noise=0.04,
        change=0.05,
        found=0.5,
        exact=None,
        held=None,
        false_alarms=0.25,
        false_share=None,
    )
    text = text_of(simulation_table([score]))
    cells = [each.strip() for each in text.splitlines()[-2].split("│")[1:-1]]
    assert cells == ["4.0 %", "5.0 %", "some method", "50.0 %", "", "", "0.25", ""]
