"""Figure of speed against numeric error: speed-up of each arm, and its loss of accuracy."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bench.records.comparison import OWN_FACTOR
from bench.records.row import Record
from bench.report.labels import arm_name, baseline_name, factor_name, workload
from bench.report.plots.canvas import arm_mark, new_figure

_MOST_COLUMNS = 3
_LONG = 1e2


def error_figure(records: Sequence[Record], source: str) -> Figure | None:
    """Draw speed-up against relative error of the output, a panel for each factor.

    Right and low is better. Lines join the Pareto front of each workload: the arms that no other
    beats in both. None if no row has both numbers.
    """
    shown = [record for record in records if record.speedup is not None and record.output_error]
    compared = {_panel_key(record) for record in shown if not record.is_control}
    panels = [list(group) for key, group in groupby(shown, _panel_key) if key in compared]
    if not panels:
        return None
    lines = math.ceil(len(panels) / _MOST_COLUMNS)
    columns = math.ceil(len(panels) / lines)
    title = "Speed against numeric error; lines: Pareto front of each workload"
    figure = new_figure(1.4 + 2.9 * columns, 0.9 + 3.7 * lines, title, source)
    axes = figure.subplots(lines, columns, squeeze=False)
    several = len({record.device for record in shown}) > 1
    for axis, rows in zip(axes.flat, panels, strict=False):
        _error_panel(axis, rows, f", {rows[0].device}" if several else "")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    judge = "the baseline" if shown[0].factor == OWN_FACTOR else "float64"
    for axis in axes[:, 0]:
        axis.set_ylabel(f"relative error of the output against {judge}")
    return figure


def _panel_key(record: Record) -> tuple[str, str]:
    return record.device, record.factor


def _error_panel(axis: Axes, records: Sequence[Record], where: str) -> None:
    arms = list(dict.fromkeys(map(arm_name, records)))
    baseline = baseline_name(records[0])
    for arm in arms:
        points = [_point(record) for record in records if arm_name(record) == arm]
        mark = arm_mark(arms, arm)
        colour = str(mark.get_color())
        face = "white" if arm == baseline else colour
        axis.plot(
            *zip(*points, strict=True),
            str(mark.get_marker()),
            color=colour,
            markerfacecolor=face,
            ms=6,
            alpha=0.7,
            label=arm,
        )
    steps = [list(_steps(front)) for front in fronts(records)]
    axis.add_collection(LineCollection(steps, color="#999999", lw=0.8, zorder=0), autolim=False)
    errors = [record.output_error or 1.0 for record in records]
    axis.set_yscale("log")
    # At least a decade: smaller differences do not matter.
    middle = (min(errors) * max(errors)) ** 0.5
    axis.set_ylim(min(min(errors) / 1.5, middle / 3.5), max(max(errors) * 1.5, middle * 3.5))
    is_long = max(errors) > _LONG * min(errors)
    axis.yaxis.set_major_locator(LogLocator(subs=(1,) if is_long else (1, 2, 5), numticks=8))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_title(f"{factor_name(records[0])}, against {baseline}{where}", fontsize=9)
    axis.axvline(1, color="black", lw=0.8)
    speedups = [record.speedup or 1.0 for record in records]
    low, high = min(0.95, *speedups), max(1.05, *speedups)
    axis.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.set_xlabel("speed-up")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=8)


def _steps(front: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Corners of a front: up to the next point's speed-up the error is this point's."""
    yield front[0]
    for (_, error), (speedup, next_error) in pairwise(front):
        yield speedup, error
        yield speedup, next_error


def _point(record: Record) -> tuple[float, float]:
    return record.speedup or 1.0, record.output_error or 1.0


def fronts(records: Sequence[Record]) -> Iterator[list[tuple[float, float]]]:
    """Yield each workload's Pareto front as speed-ups and errors, the fastest first.

    One arm beats another if it is better in one and not worse in the other. A front has at least
    two points.
    """
    for _, group in groupby(sorted(records, key=workload), workload):
        front: list[tuple[float, float]] = []
        for speedup, error in sorted(map(_point, group), key=lambda point: (-point[0], point[1])):
            if not front or error < front[-1][1]:
                front.append((speedup, error))
        if len(front) > 1:
            yield front
