"""A row as cells of the page's table: what is shown, and what it is sorted by."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.records.row import Record
from bench.report.labels import factor_name, workload
from bench.report.tables.verdicts import verdict
from bench.report.units import (
    bounded,
    bounds,
    digits,
    images,
    images_per_s,
    joules,
    memory,
    milliseconds,
    percent,
    scientific,
    seconds,
    times,
)

Value = Callable[[Record], float | int | None]
Text = Callable[[Record], str]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a cell shows; ``sort`` is the number that it stands for, None of words."""

    text: str
    interval: str = ""
    sort: float | None = None
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """The cells under COLUMNS, and the verdict that colours them."""

    cells: tuple[Cell, ...]
    verdict: str


def _words(text: Text) -> Callable[[Record], Cell]:
    return lambda record: Cell(text=text(record))


def _number(value: Value, show: Callable[[float | None], str]) -> Callable[[Record], Cell]:
    def cell(record: Record) -> Cell:
        found = value(record)
        # JSON and JavaScript know no infinity by Python's name.
        sort = None if found is None else 1e300 if math.isinf(found) else float(found)
        return Cell(text=show(found), sort=sort, is_number=True)

    return cell


def _latency(record: Record) -> Cell:
    low, high = record.latency_low_ms, record.latency_high_ms
    return Cell(
        text=milliseconds(record.latency_ms),
        interval=bounded(milliseconds, low, high),
        sort=record.latency_ms,
        is_number=True,
    )


def _gigaflop_per_s(value: float | None) -> str:
    return "" if value is None else f"{digits(value)} GFLOP/s"


def _interval(record: Record) -> Cell:
    text = bounds(record.speedup_low, record.speedup_high)
    return Cell(text=text, sort=record.speedup_low, is_number=True)


COLUMNS: dict[str, Callable[[Record], Cell]] = {
    "factor": _words(factor_name),
    "workload": _words(workload),
    "arm": _words(lambda r: r.arm),
    "speed-up": _number(lambda r: r.speedup, times),
    "95 % interval": _interval,
    "verdict": _words(verdict),
    "latency": _latency,
    "throughput": _number(lambda r: r.images_per_s, images_per_s),
    "passes": _number(lambda r: r.passes, lambda value: str(value or "")),
    "memory": _number(lambda r: r.allocated_bytes, memory),
    "of baseline": _number(lambda r: r.memory_ratio, times),
    "speed": _number(lambda r: r.gflop_per_s, _gigaflop_per_s),
    "of limit": _number(lambda r: r.limit_share, lambda value: percent(value, most=10)),
    "output error": _number(lambda r: r.output_error, scientific),
    "gradient error": _number(lambda r: r.gradient_error, scientific),
    "top-1": _number(lambda r: r.top1_agreement, percent),
    "first call": _number(lambda r: r.compile_cold_s, seconds),
    "pays off after": _number(lambda r: r.break_even_images, images),
    "energy/image": _number(lambda r: r.joules_per_image, joules),
    "kernels": _words(lambda r: r.kernels or ""),
    "why": _words(lambda r: r.error or r.unsteady or ""),
}


def row_of(record: Record) -> Row:
    """The cells of one row."""
    said = "control" if record.is_control else record.verdict or record.status
    return Row(cells=tuple(cell(record) for cell in COLUMNS.values()), verdict=said)
