"""The chart of a history: a panel for each series, with its lasting changes."""

import math
from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.change_points import Change
from bench.analysis.cuts import Values
from bench.report.plots.canvas import COLOURS, MARKERS, new_figure, shortened
from bench.report.trend_series import YARDSTICK, History, Series
from bench.report.units import signed_percent

_COLUMNS = 3
# Panels of a chart; series with changes come first.
_MOST_PANELS = 24
SLOWER, FASTER = "#D55E00", "#009E73"


def trend_figure(series: History, changes: Sequence[Change], source: str) -> Figure:
    """Draw a panel for each series, with the means between its changes."""
    changed = {change.series for change in changes}
    names = sorted(series, key=lambda name: (name not in changed, name))[:_MOST_PANELS]
    lines = math.ceil(len(names) / _COLUMNS)
    left_out = f", {len(names)} of {len(series)} series" if len(names) < len(series) else ""
    title = f"Time as a multiple of the yardstick's or the baseline's, run by run{left_out}"
    figure = new_figure(4.2 * min(len(names), _COLUMNS), 0.9 + 2.1 * lines, title, source)
    axes = figure.subplots(lines, min(len(names), _COLUMNS), squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        _panel(axis, series[name], [change for change in changes if change.series == name])
        axis.set_title(shortened(_title(series[name])), fontsize=8)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    return figure


def _title(series: Series) -> str:
    return series.name if series.against == YARDSTICK else f"{series.name} / {series.against}"


def _panel(axis: Axes, series: Series, changes: Sequence[Change]) -> None:
    values, count = series.level(changes), len(series.points)
    _points(axis, series, values)
    together = [change for change in changes if change.kind is None]
    ends = [0, *(change.index for change in together), count]
    means = [together[0].before, *(change.after for change in together)] if together else []
    for begin, end, mean in zip(ends, ends[1:], means, strict=False):
        axis.hlines(mean, begin - 0.4, end - 0.6, color="black", lw=1)
    for change in changes:
        _mark(axis, change)
    axis.margins(y=0.25)
    first, last = series.points[0].time[:10], series.points[-1].time[:10]
    axis.set_xticks([0, count - 1], labels=[first, last])
    axis.tick_params(labelsize=7)


def _points(axis: Axes, series: Series, values: Values) -> None:
    """Draw each run at the level of the commonest kind of machine, a marker for each kind."""
    # A missing end is NaN, which is not drawn.
    ends = np.array(series.intervals, dtype=np.float64).T * (values / np.array(series.values))
    places = np.arange(len(values))
    axis.vlines(places, *ends, color="#999999", lw=1)
    for kind, marker in zip(dict.fromkeys(series.kinds), cycle(MARKERS)):
        own = np.array([each == kind for each in series.kinds])
        axis.plot(places[own], values[own], marker, color=COLOURS[1], ms=3)


def _mark(axis: Axes, change: Change) -> None:
    colour = SLOWER if change.change > 0 else FASTER
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
