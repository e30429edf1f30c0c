"""Figures of speed: speed-up per factor, and latency per variant."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.records.comparison import VERDICTS
from bench.records.row import Record
from bench.report.labels import (
    arm_name,
    baseline_name,
    conditions,
    factor_name,
    grouped,
    part_name,
    workload,
)
from bench.report.plots.canvas import (
    DECADES,
    RATIOS,
    WIDEST,
    arm_mark,
    divide,
    new_figure,
    ratio_range,
    shortened,
    ticks,
)

_VERDICT_COLOURS = dict(zip(VERDICTS, ("#009E73", "#D55E00", "#0072B2", "#999999"), strict=True))
# A legend of more arms cannot be read.
_MOST_ARMS = 40
_ROW_INCH = 0.2
_MOST_SIGNS = 60


def _ratio_axis(axis: Axes, records: Sequence[Record]) -> None:
    """Make the axis logarithmic, with room for every value and for intervals up to WIDEST."""
    low, high = ratio_range(records)
    steps = ticks(RATIOS, low, high)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_xticks(steps, labels=[f"×{step:g}" for step in steps])
    axis.xaxis.set_minor_locator(NullLocator())


def speedup_figure(records: Sequence[Record], source: str, delta: float) -> Figure | None:
    """Draw the speed-up of each arm of one factor with its interval; controls are hollow."""
    shown = [record for record in records if record.speedup is not None]
    if not shown:
        return None
    height = 1.6 + _ROW_INCH * len(shown)
    title = f"{factor_name(shown[0])}: speed-up over {shortened(baseline_name(shown[0]))}"
    figure = new_figure(8, height, title, source)
    axis = figure.subplots()
    axis.axvspan(1 / (1 + delta), 1 + delta, color="#0072B2", alpha=0.1, lw=0)
    axis.axvline(1, color="black", lw=0.8)
    for place, record in enumerate(shown):
        _speedup_row(axis, place, record)
    labels = [
        shortened(f"{workload(record)}   {arm_name(record)}", _MOST_SIGNS) for record in shown
    ]
    axis.set_yticks(range(len(shown)), labels=labels)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    _ratio_axis(axis, shown)
    axis.set_xlabel(f"speed-up with 95 % interval (band: ±{delta:.1%})")
    divide(axis, shown)
    _verdict_legend(figure)
    return figure


def _speedup_row(axis: Axes, place: int, record: Record) -> None:
    colour = _VERDICT_COLOURS.get(record.verdict or "undecided", "#999999")
    value = record.speedup or 1.0
    if record.speedup_low is not None and record.speedup_high is not None:
        axis.plot([record.speedup_low, record.speedup_high], [place, place], color=colour, lw=1.6)
    face = "white" if record.is_control else colour
    axis.plot(value, place, "o", ms=5, color=colour, markerfacecolor=face)


def _verdict_legend(figure: Figure) -> None:
    marks = [
        Line2D([], [], marker="o", color=colour, label=name)
        for name, colour in _VERDICT_COLOURS.items()
    ]
    hollow = Line2D([], [], marker="o", color="#555555", markerfacecolor="white", label="control")
    figure.legend(
        handles=[*marks, hollow], loc="outside upper right", ncols=5, frameon=False, fontsize=8
    )


def latency_figure(records: Sequence[Record], source: str) -> Figure | None:
    """Draw the latency of every arm per variant: a panel for each factor, mode and batch size.

    None if nothing was measured, or too many arms for one legend.
    """
    shown = [record for record in records if record.latency_ms is not None]
    if not shown or len({(record.factor, record.arm) for record in shown}) > _MOST_ARMS:
        return None
    factors, columns = grouped(shown, factor_name), list(grouped(shown, conditions))
    size = (1.2 + 2.7 * len(columns), 0.9 + 2.3 * len(factors))
    figure = new_figure(*size, "Latency of one call per variant", source)
    axes = figure.subplots(len(factors), len(columns), squeeze=False, sharey="row")
    for row, (factor, rows) in zip(axes, factors.items(), strict=True):
        arms = list(grouped(rows, arm_name))
        for axis, panel in zip(row, columns, strict=True):
            chosen = [record for record in rows if conditions(record) == panel]
            _latency_panel(axis, chosen, arms, f"{factor}, {panel}")
        first = next(axis for axis in row if axis.axison)
        first.set_ylabel("latency, ms")
        first.tick_params(labelleft=True)
        handles = [arm_mark(arms, arm) for arm in arms]
        row[-1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _place(record: Record) -> str:
    return shortened(part_name(record))


def _latency_panel(axis: Axes, rows: Sequence[Record], arms: Sequence[str], title: str) -> None:
    if not rows:
        axis.set_axis_off()
        return
    axis.set_title(title, fontsize=9)
    places = list(grouped(rows, _place))
    for place, arm in enumerate(arms):
        own = [record for record in rows if arm_name(record) == arm]
        shift = 0.6 * ((place + 0.5) / len(arms) - 0.5)
        xs = [places.index(_place(record)) + shift for record in own]
        mark = arm_mark(arms, arm)
        lows, highs = zip(*map(_shown_interval, own), strict=True) if own else ((), ())
        axis.vlines(xs, lows, highs, color=mark.get_color(), lw=1)
        values = [record.latency_ms or math.nan for record in own]
        axis.plot(xs, values, str(mark.get_marker()), color=mark.get_color(), ms=4.5)
    axis.set_xticks(range(len(places)), labels=places)
    axis.set_xlim(-0.6, len(places) - 0.4)
    axis.set_yscale("log")
    steps = ticks(DECADES, *axis.get_ylim())
    axis.yaxis.set_major_locator(FixedLocator(steps) if steps[2:] else MaxNLocator(5))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _shown_interval(record: Record) -> tuple[float, float]:
    """Interval of a latency, cut where it would stretch the axis; NaN without one."""
    value, low, high = record.latency_ms, record.latency_low_ms, record.latency_high_ms
    if value is None or low is None or high is None:
        return math.nan, math.nan
    return max(low, value / WIDEST), min(high, value * WIDEST)
