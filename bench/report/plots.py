"""Figures of a run: speed-up per factor, latency per variant, speed against numeric error.

Each function takes records and gives a figure; ``write_plots`` is the one place that writes.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.record import VERDICTS
from bench.report.canvas import STYLE, arm_mark, new_figure, save, shortened
from bench.report.cost_plots import cost_figures
from bench.report.error_plots import error_figure
from bench.report.tables import factor_name, workload
from bench.row import Record

_VERDICT_COLOURS = dict(zip(VERDICTS, ("#009E73", "#D55E00", "#0072B2", "#999999"), strict=True))
# More would have no legend that can be read.
_MOST_ARMS = 40
_ROW_INCH = 0.2
_MOST_SIGNS = 60
# Neighbouring labels of a logarithmic axis need this share of it.
_LABEL_ROOM = 0.09
# An interval may stretch the axis to this multiple of its value; beyond, it is cut.
_WIDEST = 1.5
_DECADES = tuple(
    tuple(m * 10.0**e for e in range(-4, 7) for m in steps)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8))
)
_LADDERS = (*_DECADES[:3], *(tuple(n / d for n in range(d // 3, 3 * d)) for d in (10, 20, 50)))


def _ratio_axis(axis: Axes, records: Sequence[Record]) -> None:
    """Logarithmic axis of ratios that holds every value and, within reason, every interval."""
    values = [record.speedup or 1.0 for record in records]
    lows = [max(r.speedup_low or 1.0, (r.speedup or 1.0) / _WIDEST) for r in records]
    highs = [min(r.speedup_high or 1.0, (r.speedup or 1.0) * _WIDEST) for r in records]
    low, high = min(0.95, *values, *lows) * 0.96, max(1.05, *values, *highs) * 1.04
    ticks = _ticks(_LADDERS, low, high)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_xticks(ticks, labels=[f"×{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())


def _ticks(ladders: Sequence[Sequence[float]], low: float, high: float) -> list[float]:
    """Ticks of the finest ladder whose labels have room side by side from ``low`` to ``high``."""
    room = _LABEL_ROOM * math.log(high / low)
    inside = [[step for step in ladder if low <= step <= high] for ladder in ladders]
    fitting = (each for each in inside if all(math.log(b / a) >= room for a, b in pairwise(each)))
    return max(fitting, key=len, default=[])


def speedup_figure(records: Sequence[Record], source: str, delta: float) -> Figure | None:
    """Speed-up of each arm of one factor with its interval, by workload; controls hollow."""
    shown = [record for record in records if record.speedup is not None]
    if not shown:
        return None
    height = 1.6 + _ROW_INCH * len(shown)
    title = f"{factor_name(shown[0])}: speed-up over {shortened(shown[0].baseline)}"
    figure = new_figure(8, height, title, source)
    axis = figure.subplots()
    axis.axvspan(1 / (1 + delta), 1 + delta, color="#0072B2", alpha=0.1, lw=0)
    axis.axvline(1, color="black", lw=0.8)
    for place, record in enumerate(shown):
        _speedup_row(axis, place, record)
    labels = [shortened(f"{workload(record)}   {record.arm}", _MOST_SIGNS) for record in shown]
    axis.set_yticks(range(len(shown)), labels=labels)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    _ratio_axis(axis, shown)
    axis.set_xlabel(f"speed-up with 95 % interval (band: ±{delta:.1%})")
    _divide(axis, shown)
    _verdict_legend(figure)
    return figure


def _speedup_row(axis: Axes, place: int, record: Record) -> None:
    colour = _VERDICT_COLOURS.get(record.verdict or "undecided", "#999999")
    value = record.speedup or 1.0
    if record.speedup_low is not None and record.speedup_high is not None:
        axis.plot([record.speedup_low, record.speedup_high], [place, place], color=colour, lw=1.6)
    face = "white" if record.is_control else colour
    axis.plot(value, place, "o", ms=5, color=colour, markerfacecolor=face)


def _divide(axis: Axes, records: Sequence[Record]) -> None:
    place = 0
    for _, group in groupby(records, workload):
        place += len(list(group))
        axis.axhline(place - 0.5, color="#cccccc", lw=0.6)
    axis.grid(visible=False, axis="y")


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
    """Latency of every arm per variant: one panel for each factor, mode and batch size.

    None where nothing was measured, or too many arms for one legend.
    """
    shown = [record for record in records if record.latency_ms is not None]
    if not shown or len({(record.factor, record.arm) for record in shown}) > _MOST_ARMS:
        return None
    frame = pd.DataFrame([_flat(record) for record in shown])
    # Bounds that all lack, after a single pass, would make a column of no numbers.
    frame = frame.astype({"low_ms": float, "high_ms": float})
    factors, columns = list(frame["factor"].unique()), list(frame["panel"].unique())
    size = (1.2 + 2.7 * len(columns), 0.9 + 2.3 * len(factors))
    figure = new_figure(*size, "Latency of one call per variant", source)
    axes = figure.subplots(len(factors), len(columns), squeeze=False, sharey="row")
    for row, factor in zip(axes, factors, strict=True):
        chosen = frame[frame["factor"] == factor]
        arms = list(chosen["arm"].unique())
        for axis, panel in zip(row, columns, strict=True):
            _latency_panel(axis, chosen[chosen["panel"] == panel], arms, f"{factor}, {panel}")
        first = next(axis for axis in row if axis.axison)
        first.set_ylabel("latency, ms")
        first.tick_params(labelleft=True)
        handles = [arm_mark(arms, arm) for arm in arms]
        row[-1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _flat(record: Record) -> dict[str, object]:
    batch = f"batch {record.batch_size}" if record.batch_size else ""
    on_device = record.device if record.device != "cpu" else ""
    return {
        "factor": factor_name(record),
        "panel": ", ".join(filter(None, (record.mode, batch, on_device))),
        "arm": record.arm,
        "place": shortened(record.inputs or f"{record.variant}\n{record.component}"),
        "latency_ms": record.latency_ms,
        "low_ms": record.latency_low_ms,
        "high_ms": record.latency_high_ms,
    }


def _latency_panel(axis: Axes, frame: pd.DataFrame, arms: Sequence[str], title: str) -> None:
    if frame.empty:
        axis.set_axis_off()
        return
    axis.set_title(title, fontsize=9)
    places = list(frame["place"].unique())
    for place, arm in enumerate(arms):
        rows = frame[frame["arm"] == arm]
        shift = 0.6 * ((place + 0.5) / len(arms) - 0.5)
        xs = [places.index(name) + shift for name in rows["place"]]
        mark = arm_mark(arms, arm)
        lows = rows["low_ms"].clip(lower=rows["latency_ms"] / _WIDEST)
        highs = rows["high_ms"].clip(upper=rows["latency_ms"] * _WIDEST)
        axis.vlines(xs, lows, highs, color=mark.get_color(), lw=1)
        axis.plot(xs, rows["latency_ms"], str(mark.get_marker()), color=mark.get_color(), ms=4.5)
    axis.set_xticks(range(len(places)), labels=places)
    axis.set_xlim(-0.6, len(places) - 0.4)
    axis.set_yscale("log")
    ticks = _ticks(_DECADES, *axis.get_ylim())
    axis.yaxis.set_major_locator(FixedLocator(ticks) if ticks[2:] else MaxNLocator(5))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def figures(records: Sequence[Record], source: str, delta: float) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every plot that the records have something to show in."""
    drawn: list[tuple[str, Figure | None]] = [
        (f"speedup-{device}-{factor}", speedup_figure(list(group), source, delta))
        for (device, factor), group in groupby(records, lambda r: (r.device, r.factor))
    ]
    drawn.append(("latency", latency_figure(records, source)))
    drawn.append(("error", error_figure(records, source)))
    yield from ((name, figure) for name, figure in drawn if figure)
    yield from cost_figures(records, source)


def draw(records: Sequence[Record], source: str, delta: float) -> list[tuple[str, Figure]]:
    """Every figure with its name, in the suite's style."""
    with mpl.rc_context(STYLE):
        return list(figures(records, source, delta))


def write_plots(folder: Path, drawn: Sequence[tuple[str, Figure]]) -> list[Path]:
    """Write each figure as PNG and SVG; the paths written."""
    return [path for name, figure in drawn for path in save(folder, name, figure)]
