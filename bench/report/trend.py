"""A history's lasting changes, and the commits between which they lie: line, table, chart."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from bench.analysis.change_points import Change
from bench.analysis.simulated_history import MethodScore
from bench.files.history_csv import Point
from bench.records.environment import short_commit
from bench.report.columns import Column, words
from bench.report.plots.canvas import COLOURS, new_figure, shortened
from bench.report.tables.layout import add_columns, new_table
from bench.report.units import counted, digits, percent, signed_percent

Series = Mapping[str, Sequence[Point]]

_COLUMNS = 3
# Panels of a chart; series with changes come first.
_MOST_PANELS = 24
_CHANGE_HEADINGS = (
    "series",
    "change",
    "since",
    "commits, 95 %",
    "most likely",
    "runs after",
    "also changed",
)
_SCORE_COLUMNS: tuple[Column[MethodScore], ...] = (
    words("method", lambda score: score.method),
    Column(heading="slower by", text=lambda score: percent(score.change)),
    Column(heading="found (±3 runs)", text=lambda score: percent(score.found)),
    Column(heading="at the exact run", text=lambda score: percent(score.exact)),
    Column(heading="within the 95 % range", text=lambda score: percent(score.held)),
    Column(heading="false alarms per history", text=lambda score: f"{score.false_alarms:.2f}"),
    Column(heading="false of all found", text=lambda score: percent(score.false_share)),
)
_SLOWER, _FASTER = "#D55E00", "#009E73"


def by_series(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each series in the order of time."""
    ordered = sorted(points, key=lambda each: (each.series, each.time))
    return {name: list(group) for name, group in groupby(ordered, lambda each: each.series)}


def commits(points: Sequence[Point], first: int, last: int | None = None) -> str:
    """Range of commits: from the one before point ``first`` to that of point ``last``."""
    before, after = points[first - 1].commit, points[first if last is None else last].commit
    return f"{_short(before)}..{_short(after)}"


def _short(commit: str | None) -> str:
    return short_commit(commit) if commit else "unknown"


def moved(points: Sequence[Point], index: int) -> str:
    """Machine and torch, as far as they changed with point ``index``."""
    before, after = points[index - 1], points[index]
    pairs = ((before.device_name, after.device_name), (before.torch, after.torch))
    names = ("machine", "torch")
    found = (f"{n}: {a} to {b}" for n, (a, b) in zip(names, pairs, strict=True) if a != b)
    return "; ".join(found)


def trend_table(series: Series, changes: Sequence[Change]) -> Table:
    """Rich table of changes, the largest first."""
    table = new_table("Lasting changes of time / yardstick's time")
    for name in _CHANGE_HEADINGS:
        numbers = name in ("change", "runs after")
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for each in sorted(changes, key=lambda change: -abs(math.log(change.after / change.before))):
        points = series[each.series]
        cells = (
            each.series,
            signed_percent(each.change),
            points[each.index].time[:10],
            commits(points, each.earliest, each.latest),
            commits(points, each.index),
            str(len(points) - each.index),
            moved(points, each.index),
        )
        style = _SLOWER if each.change > 0 else _FASTER
        table.add_row(*(Text(c, style=style if n == 1 else "") for n, c in enumerate(cells)))
    return table


def simulation_table(found: Sequence[MethodScore]) -> Table:
    """Rich table of each method's hits and false alarms in simulated histories."""
    table = new_table("Simulated histories: 20 series, 40 runs, 5 series slower from the middle on")
    add_columns(table, _SCORE_COLUMNS, found)
    for each in found:
        table.add_row(*(column.text(each) for column in _SCORE_COLUMNS))
    return table


def trend_line(series: Series, changes: Sequence[Change], share: float, needed: int = 0) -> str:
    """Return a sentence on the series, their changes, and how many of these may be false.

    ``needed`` is the number of runs before which no change can be found.
    """
    runs = len({point.run_id for points in series.values() for point in points})
    found = counted(len(changes), "lasting change") if changes else "no lasting change"
    expected = f"; at most {digits(share * len(changes), 2)} of them false" if changes else ""
    too_few = (
        f" (too few: a change can be found from {needed} on)"
        if runs < needed and not changes
        else ""
    )
    return f"{len(series)} series over {counted(runs, 'run')}{too_few}: {found}{expected}."


def trend_figure(series: Series, changes: Sequence[Change], source: str) -> Figure:
    """Draw a panel for each series, with the means between its changes."""
    changed = {change.series for change in changes}
    names = sorted(series, key=lambda name: (name not in changed, name))[:_MOST_PANELS]
    lines = math.ceil(len(names) / _COLUMNS)
    left_out = f", {len(names)} of {len(series)} series" if len(names) < len(series) else ""
    title = f"Time as a multiple of the yardstick's, run by run{left_out}"
    figure = new_figure(4.2 * min(len(names), _COLUMNS), 0.9 + 2.1 * lines, title, source)
    axes = figure.subplots(lines, min(len(names), _COLUMNS), squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        _panel(axis, series[name], [change for change in changes if change.series == name])
        axis.set_title(shortened(name), fontsize=8)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    return figure


def _panel(axis: Axes, points: Sequence[Point], changes: Sequence[Change]) -> None:
    places = range(len(points))
    for place, point in zip(places, points, strict=True):
        if point.low is not None and point.high is not None:
            axis.vlines(place, point.low, point.high, color="#999999", lw=1)
    axis.plot(places, [point.ratio for point in points], "o", color=COLOURS[1], ms=3)
    ends = [0, *(change.index for change in changes), len(points)]
    means = [changes[0].before, *(change.after for change in changes)] if changes else []
    for begin, end, mean in zip(ends, ends[1:], means, strict=False):
        axis.hlines(mean, begin - 0.4, end - 0.6, color="black", lw=1)
    for change in changes:
        colour = _SLOWER if change.change > 0 else _FASTER
        axis.axvline(change.index - 0.5, color=colour, lw=1, ls="--")
        axis.axvspan(change.earliest - 0.5, change.latest - 0.5, color=colour, alpha=0.12, lw=0)
        axis.annotate(
            signed_percent(change.change),
            (change.index - 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -8),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
    axis.margins(y=0.25)
    axis.set_xticks([0, len(points) - 1], labels=[points[0].time[:10], points[-1].time[:10]])
    axis.tick_params(labelsize=7)
