"""Rows of the page's table: what a cell shows, and what it is sorted by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.records.row import Record
from bench.report.columns import Column, chosen, used

PAGE_COLUMNS = chosen(
    "factor",
    "workload",
    "arm",
    "speed-up",
    "95 % interval",
    "verdict",
    "of the whole",
    "latency",
    "throughput",
    "passes",
    "memory",
    "vs baseline",
    "GFLOP/s",
    "of limit",
    "numeric error",
    "gradient error",
    "top-1 agreement",
    "first call",
    "pays off after",
    "J/image",
    "kernels",
    "reason",
)
# The style sheet counts on the columns up to the verdict, and on the two last, which are wide.
_ALWAYS = (*PAGE_COLUMNS[:6], *PAGE_COLUMNS[-2:])
# JSON and JavaScript have no infinity.
_NEVER = 1e300


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Text of a cell, its interval, and the number to sort by; None for words."""

    text: str
    interval: str = ""
    sort: float | None = None
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cells of a row, and the verdict that colours them."""

    cells: tuple[Cell, ...]
    verdict: str


def page_columns(records: Sequence[Record]) -> list[Column[Record]]:
    """Columns in which some row has text, and those that the style sheet counts on."""
    shown = used(PAGE_COLUMNS, records)
    return [column for column in PAGE_COLUMNS if column in _ALWAYS or column in shown]


def row_of(record: Record, columns: Sequence[Column[Record]] = PAGE_COLUMNS) -> Row:
    """Cells of one row."""
    verdict = "control" if record.is_control else record.verdict or record.status
    return Row(cells=tuple(_cell(record, column) for column in columns), verdict=verdict)


def _cell(record: Record, column: Column[Record]) -> Cell:
    number = column.number(record) if column.number else None
    if number is not None:
        number = _NEVER if math.isinf(number) else float(number)
    text, interval = column.text(record), column.detail(record) if column.detail else ""
    return Cell(
        text=text,
        interval="" if interval == text else interval,
        sort=number,
        is_number=not column.is_words,
    )
