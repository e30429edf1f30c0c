"""Figure of when compiling pays off: total time against images processed."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.records.row import Record
from bench.report.labels import grouped, workload
from bench.report.plots.canvas import COLOURS, new_figure, shortened
from bench.report.units import MOST_IMAGES, bounded, digits, images

_MOST_COLUMNS, _MOST_PANELS = 3, 6
_BLACK, _DARK = COLOURS[0], "#555555"
# The axis ends at this multiple of the images that take as long as the first call.
_FAR, _LEAST_IMAGES = 30, 100.0


def compile_figure(records: Sequence[Record], source: str) -> Figure | None:
    """Draw total time against images processed, eager and compiled, first call included."""
    shown = [r for r in records if r.compile_cold_s and r.speedup and r.latency_ms and r.batch_size]
    found = list(grouped(shown, workload).values())
    if not found:
        return None
    panels = found[:_MOST_PANELS]
    lines = math.ceil(len(panels) / _MOST_COLUMNS)
    columns = math.ceil(len(panels) / lines)
    size = (1.2 + 3.8 * columns, 0.9 + 3.3 * lines)
    left_out = f", {len(panels)} of {len(found)} workloads" if found[_MOST_PANELS:] else ""
    figure = new_figure(*size, f"When compiling pays off{left_out}", source)
    axes = figure.subplots(lines, columns, squeeze=False)
    arms = list(dict.fromkeys(record.arm for record in shown))
    for axis, rows in zip(axes.flat, panels, strict=False):
        _total_time(axis, rows, arms)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel("total time, s")
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """Add the legend of lines and marks, for every panel."""
    marks = [
        Line2D([], [], color=_DARK, label="first call with a cold cache"),
        Line2D([], [], color=_DARK, ls="--", label="with a warm cache"),
        Line2D([], [], color=_DARK, marker="o", lw=0, ms=5, label="has paid off"),
    ]
    figure.legend(handles=marks, loc="outside upper right", ncols=3, frameon=False, fontsize=8)


def _total_time(axis: Axes, rows: Sequence[Record], arms: Sequence[str]) -> None:
    """Draw the lines of one workload; compiling has paid off where compiled and eager cross.

    A line's slope is eager's over the row's speed-up, which varies less than its own latency.
    """
    batch_size = rows[0].batch_size or 1
    call_s = statistics.median((r.latency_ms or 0.0) * (r.speedup or 1.0) / 1e3 for r in rows)
    eager_s = call_s / batch_size
    count = np.geomspace(batch_size, max(_shown_images(row, eager_s) for row in rows), 200)
    axis.plot(count, count * eager_s, color=_BLACK, label=rows[0].baseline)
    for row in rows:
        colour = COLOURS[1 + arms.index(row.arm) % (len(COLOURS) - 1)]
        each_s = eager_s / (row.speedup or 1.0)
        label = f"{row.arm}: {_pays_off(row)}"
        for first_s, style in ((row.compile_cold_s, "-"), (row.compile_warm_s, "--")):
            if first_s is not None:
                total_s = first_s + (count - batch_size) * each_s
                axis.plot(count, total_s, style, color=colour, label=label if style == "-" else "")
        if _is_reached(row):
            even = row.break_even_images or 0.0
            axis.plot(even, even * eager_s, "o", color=colour, ms=5, zorder=3)
    _style(axis, shortened(workload(rows[0])))


def _style(axis: Axes, title: str) -> None:
    axis.set(xscale="log", yscale="log", xlabel="images")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(LogLocator(numticks=7))
        side.set_minor_locator(NullLocator())
        side.set_major_formatter(FuncFormatter(lambda value, _: digits(value, 1)))
    axis.set_title(title, fontsize=9)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False, fontsize=8)


def _pays_off(record: Record) -> str:
    low, high = record.break_even_low_images, record.break_even_high_images
    interval = bounded(images, low, high)
    after = images(record.break_even_images)
    text = f"after {after} images" if _is_reached(record) else "never"
    return f"{text} ({interval})" if interval not in ("", after) else text


def _is_reached(record: Record) -> bool:
    return record.break_even_images is not None and record.break_even_images <= MOST_IMAGES


def _shown_images(record: Record, eager_s: float) -> float:
    """End of the axis: beyond the crossing, or where the first call no longer matters."""
    if _is_reached(record):
        return max(3 * (record.break_even_images or 0.0), _LEAST_IMAGES)
    return max(_FAR * (record.compile_cold_s or 0.0) / eager_s, _LEAST_IMAGES)
