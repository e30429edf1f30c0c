"""Forest plots of the page: speed-ups, latencies and memory, a line of text for each arm.

``bench.report.plots`` draws the same rows as PNG and SVG for papers and READMEs, where one picture
must hold everything. The page has them as HTML tables instead: lines reflow on a phone, a screen
reader reads every value, and paper shows the numbers beside the marks. A wide SVG does none of
that. Both take their axes from ``bench.report.plots.canvas``.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.records.comparison import VERDICTS
from bench.records.row import Record
from bench.report.labels import (
    arm_name,
    baseline_name,
    by_factor,
    distinct,
    factor_name,
    grouped,
    undecided_last,
    verdict,
    workload,
)
from bench.report.plots.canvas import BINARY, DECADES, RATIOS, WIDEST, ratio_range, ticks
from bench.report.units import (
    bounded,
    counted,
    images_per_s,
    memory,
    milliseconds,
    signed_percent,
    times_within,
)

# A plot of more lines is closed at first.
_OPEN_LINES = 100
# Share of an axis that a label needs: on a phone an axis is as wide as four of them.
_ROOM = 0.2
_SIZE_ROOM = 0.26
_MARGIN = 1.3


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A logarithmic axis from ``low`` to ``high``."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Position of a value in percent of the axis, limited to its ends."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A dot, ring or tick and its interval; positions are in percent of the axis."""

    shape: str
    at: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """An arm's marks and their values as text; ``kind`` sets the colour, ``outcome`` is a word."""

    arm: str
    marks: tuple[Mark, ...]
    text: str
    outcome: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A plot: lines by workload, labelled ticks, and a reference with its band, in percent."""

    heading: str
    summary: str
    axis: str
    value: str
    ticks: tuple[tuple[float, str], ...]
    groups: dict[str, list[Line]]
    one: float | None = None
    band: tuple[float, float] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the plot is small enough to be open at first."""
        return sum(map(len, self.groups.values())) <= _OPEN_LINES


def _lines(rows: Sequence[Record], line: Callable[[Record], Line]) -> dict[str, list[Line]]:
    """The lines of each workload, those of undecided candidates last."""
    groups = grouped(rows, workload).items()
    return {name: [line(record) for record in undecided_last(group)] for name, group in groups}


def speedups(records: Sequence[Record], delta: float) -> Iterator[Forest]:
    """Yield a plot for each device and factor: speed-up of each arm with its interval."""
    for rows in by_factor(records):
        if shown := [record for record in rows if record.speedup is not None]:
            yield _speedups(shown, delta)


def _speedups(rows: Sequence[Record], delta: float) -> Forest:
    low, high = ratio_range(rows)
    axis = Axis(low=low, high=high)
    start, end = axis.place(1 / (1 + delta)), axis.place(1 + delta)
    first = rows[0]
    counts = Counter(record.verdict for record in rows if not record.is_control)
    return Forest(
        heading=f"{factor_name(first)} on {first.device}, against {baseline_name(first)}",
        summary=", ".join(f"{counts[each]} {each}" for each in VERDICTS if counts[each]),
        axis="speed-up, logarithmic",
        value="speed-up, 95 % interval, verdict",
        ticks=tuple((axis.place(tick), f"×{tick:g}") for tick in ticks(RATIOS, low, high, _ROOM)),
        groups=_lines(rows, partial(_speedup, axis)),
        one=axis.place(1.0),
        band=(start, round(end - start, 2)),
    )


def _speedup(axis: Axis, record: Record) -> Line:
    value, low, high = record.speedup or 1.0, record.speedup_low, record.speedup_high
    shape = "ring" if record.is_control else "dot"
    return Line(
        arm=arm_name(record),
        marks=(_mark(shape, axis, value, low, high),),
        text=times_within(value, low, high),
        outcome=verdict(record),
        kind=record.verdict or "",
    )


def latencies(records: Sequence[Record]) -> Iterator[Forest]:
    """Yield a plot for each device: time of a call with its interval, and throughput."""
    for device, rows in grouped(records, lambda record: record.device).items():
        if shown := list(distinct(record for record in rows if record.latency_ms)):
            yield _latencies(device, shown)


def _latencies(device: str, rows: Sequence[Record]) -> Forest:
    axis = _axis([record.latency_ms or 1.0 for record in rows])
    places = ticks(DECADES, axis.low, axis.high, _ROOM)
    return Forest(
        heading=f"Time of one call, on {device}",
        summary=counted(len(rows), "case"),
        axis="latency, logarithmic",
        value="latency, 95 % interval; images per second",
        ticks=tuple((axis.place(tick), f"{tick:g} ms") for tick in places),
        groups=_lines(rows, partial(_latency, axis)),
    )


def _latency(axis: Axis, record: Record) -> Line:
    value, low, high = record.latency_ms or 1.0, record.latency_low_ms, record.latency_high_ms
    interval = bounded(milliseconds, low, high)
    speed = images_per_s(record.images_per_s)
    return Line(
        arm=arm_name(record),
        marks=(_mark("dot", axis, value, low, high),),
        text=f"{milliseconds(value)} ({interval or 'no interval'})"
        + (f"; {speed}" if speed else ""),
        outcome="" if record.status == "ok" else record.status,
    )


def _axis(values: Sequence[float]) -> Axis:
    """An axis that holds all values and has at least two ticks."""
    low, high = min(values) / _MARGIN, max(values) * _MARGIN
    return Axis(low=min(low, high / 8), high=max(high, low * 8))


def _mark(shape: str, axis: Axis, value: float, low: float | None, high: float | None) -> Mark:
    """A mark with its interval, which is cut beyond WIDEST times the value."""
    mark = Mark(shape=shape, at=axis.place(value))
    if low is None or high is None:
        return mark
    start, end = max(low, value / WIDEST), min(high, value * WIDEST)
    return replace(mark, low=axis.place(start), high=axis.place(end))


def memories(records: Sequence[Record]) -> Iterator[Forest]:
    """Yield a plot for each device: peaks of live tensors, predicted ones, and the process."""
    for device, rows in grouped(records, lambda record: record.device).items():
        known = (record for record in rows if record.allocated_bytes or record.predicted_bytes)
        if shown := list(distinct(known)):
            yield _memories(device, shown)


def _memories(device: str, rows: Sequence[Record]) -> Forest:
    axis = _axis([size for record in rows for size in _sizes(record) if size])
    places = ticks(BINARY, axis.low, axis.high, _SIZE_ROOM)
    return Forest(
        heading=f"Memory at its peak in steady state, on {device}",
        summary=counted(len(rows), "case"),
        axis="memory, logarithmic",
        value="live tensors; the whole process",
        ticks=tuple((axis.place(tick), _size(tick)) for tick in places),
        groups=_lines(rows, partial(_memory, axis)),
    )


def _size(power_of_two: float) -> str:
    value, unit = memory(power_of_two).rsplit(" ", 1)
    return f"{float(value):g} {unit}"


def _sizes(record: Record) -> tuple[int | None, int | None, int | None]:
    return record.predicted_bytes, record.allocated_bytes, record.process_bytes


def _memory(axis: Axis, record: Record) -> Line:
    shapes = zip(("ring", "dot", "tick"), _sizes(record), strict=True)
    return Line(
        arm=arm_name(record),
        marks=tuple(Mark(shape=shape, at=axis.place(size)) for shape, size in shapes if size),
        text="; ".join(_size_texts(record)),
        outcome="" if record.status == "ok" else record.status,
    )


def _size_texts(record: Record) -> Iterator[str]:
    """Every known size, with its unit."""
    error = record.prediction_error
    if record.allocated_bytes:
        yield memory(record.allocated_bytes) + (
            f" (predicted {signed_percent(error)})" if error is not None else ""
        )
    elif record.predicted_bytes:
        yield f"{memory(record.predicted_bytes)} predicted"
    if record.process_bytes:
        yield f"process {memory(record.process_bytes)}"
