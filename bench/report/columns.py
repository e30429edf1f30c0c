"""Columns of tables: the one list of what a row shows, under which heading and in which unit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from bench.records.row import Record
from bench.report.labels import arm_name, baseline_name, factor_name, verdict, workload
from bench.report.units import (
    bounded,
    bounds,
    gigaflop,
    images,
    images_per_s,
    memory,
    milliseconds,
    of_whole,
    of_whole_bounds,
    percent,
    scientific,
    seconds,
    signed_percent,
    significant,
    times,
    whole_number,
)

T = TypeVar("T")
Number = float | int | None


@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """A column of a table whose lines are of type ``T``: rows, decisions or checks.

    ``text`` formats one cell, with its unit; a missing value is ''. ``detail`` is an interval or
    a ratio that belongs to the text. ``number`` is what a column of numbers is sorted by, in the
    record's unit; None for a column of words.
    """

    heading: str
    text: Callable[[T], str]
    detail: Callable[[T], str] | None = None
    number: Callable[[T], Number] | None = None
    is_words: bool = False

    def without_detail(self) -> "Column[T]":
        """The column without intervals."""
        return replace(self, detail=None) if self.detail else self

    def with_detail(self) -> "Column[T]":
        """The column with the intervals in its text."""
        return replace(self, text=self.cell, detail=None) if self.detail else self

    def cell(self, item: T) -> str:
        """Text with its detail in brackets: ``821 (411 to never)``."""
        text, detail = self.text(item), self.detail(item) if self.detail else ""
        return f"{text} ({detail})" if detail not in ("", text) else text


def used(columns: Iterable[Column[T]], items: Iterable[T]) -> list[Column[T]]:
    """Columns in which some item has text."""
    lines = list(items)
    return [column for column in columns if any(map(column.text, lines))]


def words(heading: str, text: Callable[[T], str]) -> Column[T]:
    """A column of words."""
    return Column(heading=heading, text=text, is_words=True)


def _number(
    heading: str,
    number: Callable[[Record], Number],
    show: Callable[[Number], str],
    detail: Callable[[Record], str] | None = None,
) -> Column[Record]:
    return Column(heading=heading, text=lambda r: show(number(r)), number=number, detail=detail)


def _latency_bounds(record: Record) -> str:
    return bounded(milliseconds, record.latency_low_ms, record.latency_high_ms)


def _of_whole_bounds(record: Record) -> str:
    return of_whole_bounds(record.of_whole_low, record.of_whole_high)


def _break_even_bounds(record: Record) -> str:
    return bounded(images, record.break_even_low_images, record.break_even_high_images)


def _limit_share(share: float | None) -> str:
    """Share of a limit, which in results of earlier versions may exceed 1."""
    return percent(share, most=10)


def _limit_bounds(record: Record) -> str:
    return bounded(_limit_share, record.limit_share_low, record.limit_share_high)


def _status(record: Record) -> str:
    return record.status + (f": {record.error}" if record.error else "")


_COLUMNS: tuple[Column[Record], ...] = (
    words("factor", factor_name),
    words("workload", workload),
    words("inputs", lambda r: r.inputs or ""),
    words("arm", arm_name),
    words("baseline", baseline_name),
    words("status", _status),
    words("verdict", verdict),
    _number("speed-up", lambda r: r.speedup, times),
    Column(
        heading="95 % interval",
        text=lambda r: bounds(r.speedup_low, r.speedup_high),
        number=lambda r: r.speedup_low,
    ),
    Column(
        heading="of the whole",
        text=lambda r: of_whole(r.of_whole, r.of_whole_low, r.of_whole_high),
        number=lambda r: r.of_whole,
        detail=_of_whole_bounds,
    ),
    _number("detectable effect", lambda r: r.detectable_effect, percent),
    _number("latency", lambda r: r.latency_ms, milliseconds, _latency_bounds),
    _number("throughput", lambda r: r.images_per_s, images_per_s),
    _number("passes", lambda r: r.passes, whole_number),
    _number("rounds", lambda r: r.rounds, whole_number),
    _number("numeric error", lambda r: r.output_error, scientific),
    _number("gradient error", lambda r: r.gradient_error, scientific),
    _number("largest error", lambda r: r.largest_error, scientific),
    _number("top-1 agreement", lambda r: r.top1_agreement, percent),
    _number("memory", lambda r: r.allocated_bytes, memory),
    _number("vs baseline", lambda r: r.memory_ratio, times),
    _number("predicted", lambda r: r.predicted_bytes, memory),
    _number("off by", lambda r: r.prediction_error, signed_percent),
    _number("reserved", lambda r: r.reserved_bytes, memory),
    _number("process", lambda r: r.process_bytes, memory),
    _number("unexplained", lambda r: r.unexplained_bytes, memory),
    _number("GFLOP", lambda r: r.flop, gigaflop),
    _number("moved", lambda r: r.moved_bytes, memory),
    _number("GFLOP/s", lambda r: r.gflop_per_s, significant),
    _number("limit", lambda r: r.limit_gflop_per_s, significant),
    _number("of limit", lambda r: r.limit_share, _limit_share, _limit_bounds),
    words("limit by", lambda r: r.limit_library or ""),
    _number("copy GB/s", lambda r: r.copy_gb_per_s, significant),
    _number("first call", lambda r: r.compile_cold_s, seconds),
    _number("first call, warm cache", lambda r: r.compile_warm_s, seconds),
    _number("pays off after", lambda r: r.break_even_images, images, _break_even_bounds),
    _number("extra memory", lambda r: r.compile_extra_bytes, memory),
    _number("graph breaks", lambda r: r.graph_breaks, whole_number),
    _number("recompiles", lambda r: r.recompiles, whole_number),
    _number("J/image", lambda r: r.joules_per_image, significant),
    words("kernels", lambda r: r.kernels or ""),
    words("reason", lambda r: r.error or r.unsteady or ""),
)
# Every column of tables of rows, by its heading.
ROW_COLUMNS = {column.heading: column for column in _COLUMNS}


def chosen(*headings: str) -> tuple[Column[Record], ...]:
    """The columns of these headings, in their order."""
    return tuple(ROW_COLUMNS[heading] for heading in headings)
