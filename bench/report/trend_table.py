"""A history's lasting changes as a table: sizes, commits between which they lie, kinds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from bench.analysis.change_points import Change
from bench.analysis.kind_shifts import KindShift
from bench.analysis.simulated_history import MethodScore
from bench.files.history_csv import Point
from bench.records.environment import short_commit
from bench.report.columns import Column, words
from bench.report.tables.layout import add_columns, justified, new_table
from bench.report.trend_chart import FASTER, SLOWER
from bench.report.trend_series import History, Series
from bench.report.units import percent, signed_percent

_SIZE = "change"


@dataclass(frozen=True)
class ChangeLine:
    """One line of the table: a change, its series, and all changes of the history."""

    change: Change
    series: Series
    others: Sequence[Change]


_SCORE_COLUMNS: tuple[Column[MethodScore], ...] = (
    Column(heading="noise of a run", text=lambda score: percent(score.noise)),
    Column(heading="slower by", text=lambda score: percent(score.change)),
    words("method", lambda score: score.method),
    Column(heading="found (±3 runs)", text=lambda score: percent(score.found)),
    Column(heading="at the exact run", text=lambda score: percent(score.exact)),
    Column(heading="within the 95 % range", text=lambda score: percent(score.held)),
    Column(heading="false alarms per history", text=lambda score: f"{score.false_alarms:.2f}"),
    Column(heading="false of all found", text=lambda score: percent(score.false_share)),
)


def commits(points: Sequence[Point], first: int, last: int | None = None) -> str:
    """Range of commits: from the one before point ``first`` to that of point ``last``."""
    before, after = points[first - 1].commit, points[first if last is None else last].commit
    return f"{_short(before)}..{_short(after)}"


def _short(commit: str | None) -> str:
    return short_commit(commit) if commit else "unknown"


def moved(points: Sequence[Point], index: int) -> str:
    """Torch, if its version changed with point ``index``; '' otherwise."""
    before, after = points[index - 1].torch, points[index].torch
    return "" if before == after else f"torch: {before} to {after}"


def _range(line: ChangeLine) -> str:
    return commits(line.series.points, line.change.earliest, line.change.latest)


def _runs_after(line: ChangeLine) -> str:
    """Runs after a change, of its kind of machine if it is one kind's."""
    kind, after = line.change.kind, line.series.kinds[line.change.index :]
    return str(len(after) if kind is None else after.count(kind))


def holds_on(change: Change, series: Series) -> str:
    """Kinds of machine that a change holds on, with its size on the others; '' for one kind."""
    if len(set(series.kinds)) == 1:
        return ""
    if change.kind is not None:
        return f"{change.kind} only"
    if not change.by_kind:
        return "all together (too few runs of each)"
    holding, others = (
        [each for each in change.by_kind if each.holds is so] for so in (True, False)
    )
    if len(holding) > 1 and not others:
        return f"all {len(holding)} kinds"
    names = " and ".join(map(_on_kind, holding)) or "no kind alone"
    return f"{names}, not {' or '.join(map(_on_kind, others))}" if others else names


def _on_kind(shift: KindShift) -> str:
    return f"{shift.kind} ({signed_percent(shift.change)})"


def also_changed(line: ChangeLine) -> str:
    """What changed with a series: torch, and the baseline that it is divided by."""
    own = moved(line.series.points, line.change.index)
    baseline = [
        f"baseline {line.series.against}: {signed_percent(each.change)}"
        for each in line.others
        if each.series == _control(line.series) and _meet(line, each)
    ]
    return "; ".join(filter(None, (own, *baseline)))


def _control(series: Series) -> str:
    """Name of the series of a series' baseline."""
    device = series.points[0].device
    first, found, _ = series.name.partition(f" {device} ")
    return f"{first}{found}{series.against}"


def _meet(line: ChangeLine, other: Change) -> bool:
    return line.change.earliest <= other.latest and other.earliest <= line.change.latest


CHANGE_COLUMNS: tuple[Column[ChangeLine], ...] = (
    words("series", lambda line: line.change.series),
    words("against", lambda line: line.series.against),
    Column(heading=_SIZE, text=lambda line: signed_percent(line.change.change)),
    words("since", lambda line: line.series.points[line.change.index].time[:10]),
    words("commits, 95 %", _range),
    words("most likely", lambda line: commits(line.series.points, line.change.index)),
    Column(heading="runs after", text=_runs_after),
    words("holds on", lambda line: holds_on(line.change, line.series)),
    words("also changed", also_changed),
)


def change_lines(series: History, changes: Sequence[Change]) -> list[ChangeLine]:
    """Lines of the table of changes, the largest change first."""
    largest = sorted(changes, key=lambda each: -abs(math.log(each.after / each.before)))
    return [ChangeLine(each, series[each.series], changes) for each in largest]


def trend_table(series: History, changes: Sequence[Change]) -> Table:
    """Rich table of changes, the largest first."""
    lines = change_lines(series, changes)
    columns = [each for each in CHANGE_COLUMNS if any(map(each.text, lines))]
    table = new_table("Lasting changes of time / the yardstick's or the baseline's time")
    for column in columns:
        table.add_column(column.heading, justify=justified(column), overflow="fold")
    for line in lines:
        colour = SLOWER if line.change.change > 0 else FASTER
        table.add_row(
            *(
                Text(column.text(line), style=colour if column.heading == _SIZE else "")
                for column in columns
            )
        )
    return table


def simulation_table(found: Sequence[MethodScore]) -> Table:
    """Rich table of each method's hits and false alarms in simulated histories."""
    table = new_table(
        "Simulated histories: 20 series, 40 runs on two kinds of machine, 5 series slower from the "
        "middle on"
    )
    add_columns(table, _SCORE_COLUMNS, found)
    for each in found:
        table.add_row(*(column.text(each) for column in _SCORE_COLUMNS))
    return table
