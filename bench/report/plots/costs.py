"""Figures of costs: memory by case, and the roofline."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.records.arm_costs import computed_in
from bench.records.row import Record
from bench.report.labels import arm_name, distinct, grouped, workload
from bench.report.plots.break_even import compile_figure
from bench.report.plots.canvas import COLOURS, MARKERS, FigureName, divide, new_figure, shortened
from bench.report.units import digits, memory

_ROW_INCH = 0.2
_MOST_SIGNS = 60
# Most labels of an axis of memory, and its least span as a ratio.
_MOST_SIZES, _LEAST_SPAN = 7, 8.0
# An axis of a wider range has labels at powers of ten only.
_LONG = 1e4
_BLACK, _BLUE, _GREY, _DARK = COLOURS[0], COLOURS[1], "#999999", "#555555"
# Roofs closer than this share of the axis's height share a label.
_LABEL_HEIGHT = 0.05


def memory_figure(records: Sequence[Record], source: str) -> Figure | None:
    """Draw the peak of live tensors, measured and predicted, and of the process, by case."""
    known = (record for record in records if record.allocated_bytes or record.predicted_bytes)
    shown = list(distinct(known))
    if not shown:
        return None
    title = f"Memory at its peak in steady state, on {shown[0].device_name}"
    figure = new_figure(9, 1.8 + _ROW_INCH * len(shown), title, source)
    axis = figure.subplots()
    _sizes(axis, "live tensors", [r.allocated_bytes for r in shown], "o", _BLUE, ms=5)
    _sizes(axis, "predicted", [r.predicted_bytes for r in shown], "o", _BLACK, ms=8, mfc="none")
    _sizes(axis, "the process", [r.process_bytes for r in shown], "|", _DARK, ms=9, mew=1.6)
    axis.set_yticks(range(len(shown)), labels=[_case(record) for record in shown])
    axis.set_ylim(len(shown) - 0.4, -0.6)
    _sizes_axis(axis)
    divide(axis, shown)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    return figure


def _sizes(
    axis: Axes, name: str, sizes: Sequence[int | None], marker: str, colour: str, **style: Any
) -> None:
    """Draw a mark in the row of every known size."""
    known = [(size, place) for place, size in enumerate(sizes) if size]
    if known:
        axis.plot(*zip(*known, strict=True), marker, color=colour, label=name, **style)


def _sizes_axis(axis: Axes) -> None:
    """Set ticks at powers of two, as many as fit, at least two."""
    sizes = np.concatenate([np.asarray(line.get_xdata()) for line in axis.lines])
    low, high = float(sizes.min()), float(sizes.max())
    margin = max(1.2, math.sqrt(_LEAST_SPAN * low / high))
    low, high = low / margin, high * margin
    step = 2 ** math.ceil(math.log2(high / low) / _MOST_SIZES)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.xaxis.set_major_locator(LogLocator(base=step, numticks=2 * _MOST_SIZES))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: memory(value)))
    axis.set_xlabel("memory (logarithmic)")


def _case(record: Record) -> str:
    status = " (oom)" if record.status == "oom" else ""
    return shortened(f"{workload(record)}   {arm_name(record)}", _MOST_SIGNS) + status


def roofline_figure(records: Sequence[Record], source: str) -> Figure | None:
    """Draw operations per second against operations per byte, below the machine's limits.

    The roofline model of Williams, Waterman and Patterson (2009). Points are from passes; roofs
    are the highest limits of all rows, from the survey. None without either.
    """
    shown = [r for r in records if r.gflop_per_s and r.limit_gflop_per_s and r.flop]
    shown = [record for record in shown if record.moved_bytes]
    copied = [record.copy_gb_per_s for record in shown if record.copy_gb_per_s]
    if not copied:
        return None
    roofs = {
        name: max(record.limit_gflop_per_s or 0.0 for record in group)
        for name, group in sorted(grouped(shown, _computed).items())
    }
    figure = new_figure(9, 5.4, f"Roofline, on {shown[0].device_name}", source)
    axis = figure.subplots()
    _roofline_axes(axis, shown, roofs, max(copied))
    _roofs(axis, roofs, max(copied))
    components = list(dict.fromkeys(record.component for record in shown))
    colours = dict(zip(components, COLOURS[1:], strict=False))
    markers = dict(zip(roofs, MARKERS, strict=False))
    for (name, part), rows in grouped(shown, lambda r: (_computed(r), r.component)).items():
        xs, ys = [_intensity(record) for record in rows], [_reached(record) for record in rows]
        axis.plot(xs, ys, markers[name], color=colours[part], ms=5.5, alpha=0.75)
    _roofline_legends(axis, colours, markers)
    return figure


def _roofline_axes(
    axis: Axes, shown: Sequence[Record], roofs: dict[str, float], copied_gb_per_s: float
) -> None:
    """Scale the axes to hold every point, the ridge and part of the slope."""
    xs, ys = [_intensity(r) for r in shown], [_reached(r) for r in shown]
    ridge, top = max(roofs.values()) / copied_gb_per_s, max(*roofs.values(), *ys)
    axis.set(xscale="log", yscale="log")
    right = max(ridge, *xs) * 3
    # The slope and its label get at least a quarter of the axis.
    axis.set_xlim(min(ridge / 8, ridge * (ridge / right) ** 0.35, min(xs) / 2), right)
    axis.set_ylim(min(top / 4, *roofs.values(), *ys) / 2, 2 * top)
    for side in (axis.xaxis, axis.yaxis):
        low, high = side.get_view_interval()
        is_long = high / low > _LONG
        side.set_major_locator(LogLocator(subs=(1,) if is_long else (1, 2, 5), numticks=10))
        side.set_major_formatter(FuncFormatter(lambda value, _: digits(value, 1)))
        side.set_minor_locator(NullLocator())
    axis.set_xlabel("operations per byte that must be moved, FLOP/byte")
    axis.set_ylabel("achieved, GFLOP/s")


def _roofs(axis: Axes, roofs: dict[str, float], copied_gb_per_s: float) -> None:
    """Draw a slope for the bandwidth of copying, and a level for each precision."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    ridge = max(roofs.values()) / copied_gb_per_s
    axis.plot([left, ridge], [left * copied_gb_per_s, ridge * copied_gb_per_s], color=_GREY, lw=1.2)
    # Above the slope, where there are no points, near its upper end.
    place = left**0.15 * ridge**0.85
    text = f"copying, {digits(copied_gb_per_s)} GB/s"
    _annotate(axis, text, (place, place * copied_gb_per_s), (-6, 2))
    for roof in roofs.values():
        axis.plot([roof / copied_gb_per_s, right], [roof, roof], color=_GREY, lw=1.2)
    apart = (high / low) ** _LABEL_HEIGHT
    for group in _near(sorted(roofs.items(), key=lambda each: each[1]), apart):
        names = "; ".join(f"{name}, {digits(roof)} GFLOP/s" for name, roof in group)
        _annotate(axis, names, (right, group[-1][1]), (-4, 4))


def _near(roofs: Sequence[tuple[str, float]], apart: float) -> Iterator[list[tuple[str, float]]]:
    """Group roofs from the lowest: in a group each is below ``apart`` times the one before."""
    group = [roofs[0]]
    for each in roofs[1:]:
        if each[1] >= group[-1][1] * apart:
            yield group
            group = []
        group.append(each)
    yield group


def _annotate(
    axis: Axes, text: str, place: tuple[float, float], shift: tuple[float, float]
) -> None:
    axis.annotate(
        text, place, xytext=shift, ha="right", textcoords="offset points", color=_DARK, fontsize=8
    )


def _roofline_legends(axis: Axes, colours: dict[str, str], markers: dict[str, str]) -> None:
    """Add two legends beside the axes: colours above, shapes below."""
    swatches = [Patch(color=colour, label=name) for name, colour in colours.items()]
    shapes = [
        Line2D([], [], color=_DARK, marker=marker, lw=0, label=name)
        for name, marker in markers.items()
    ]
    place = partial(axis.legend, frameon=False, alignment="left", borderaxespad=0.4)
    above = place(handles=swatches, title="component", loc="upper left", bbox_to_anchor=(1, 1))
    place(handles=shapes, title="computed in", loc="lower left", bbox_to_anchor=(1, 0))
    axis.add_artist(above)
    # A legend clipped to the axes would get no room beside them.
    above.set_clip_box(None)


def _intensity(record: Record) -> float:
    return (record.flop or 0.0) / (record.moved_bytes or math.inf)


def _reached(record: Record) -> float:
    return record.gflop_per_s or 0.0


def _computed(record: Record) -> str:
    return computed_in(record.precision)


def cost_figures(
    records: Sequence[Record], source: str
) -> dict[FigureName, Callable[[], Figure | None]]:
    """Return a function for every plot of costs by name; it returns None without data."""
    return {
        FigureName(kind=kind, device=device): partial(make, rows, source)
        for device, rows in grouped(records, lambda record: record.device).items()
        for kind, make in (
            ("memory", memory_figure),
            ("roofline", roofline_figure),
            ("compile", compile_figure),
        )
    }
