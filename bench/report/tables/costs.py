"""What each choice costs, as tables: memory, work against the limit, compiling, error, kernels."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bench.records.errors import InputError
from bench.records.row import Record
from bench.report.labels import factor_name, workload
from bench.report.tables.verdicts import NARROW_COLUMNS, new_table
from bench.report.units import (
    bounded,
    digits,
    escaped,
    gigabytes_per_s,
    gigaflop,
    images,
    joules,
    memory,
    percent,
    scientific,
    seconds,
    signed_percent,
    times,
)

Cell = Callable[[Record], str]
Column = tuple[str, Cell]

_KERNELS = "kernels"
# Before the numbers of every table. Columns of words may be folded beyond so many characters;
# kernels get more where there is room.
_WORDS: tuple[Column, ...] = (("workload", workload), ("arm", lambda r: r.arm))
_WIDE = {"workload": 36, "arm": 36, _KERNELS: 24}
_NARROW = {"workload": 14, "arm": 14, _KERNELS: 24}
_MOST_KERNELS = 36
# What a run shows where nobody asks: of each view what decides.
USUAL_VIEW = "cost"


def _break_even(record: Record) -> str:
    """After how many images compiling has paid off, with what the interval leaves open."""
    value = images(record.break_even_images)
    low, high = record.break_even_low_images, record.break_even_high_images
    interval = bounded(images, low, high)
    return f"{value} ({interval})" if interval and interval != value else value


VIEWS: dict[str, tuple[Column, ...]] = {
    USUAL_VIEW: (
        ("memory", lambda r: memory(r.allocated_bytes)),
        ("by baseline", lambda r: times(r.memory_ratio)),
        ("GFLOP/s", lambda r: "" if r.gflop_per_s is None else digits(r.gflop_per_s)),
        ("of limit", lambda r: percent(r.limit_share, most=10)),
        ("first call", lambda r: seconds(r.compile_cold_s)),
        ("pays off after", _break_even),
        ("top-1", lambda r: percent(r.top1_agreement)),
        ("J/image", lambda r: joules(r.joules_per_image)),
        (_KERNELS, lambda r: r.kernels or ""),
    ),
    "memory": (
        ("memory", lambda r: memory(r.allocated_bytes)),
        ("by baseline", lambda r: times(r.memory_ratio)),
        ("predicted", lambda r: memory(r.predicted_bytes)),
        ("off by", lambda r: signed_percent(r.prediction_error)),
        ("reserved", lambda r: memory(r.reserved_bytes)),
        ("process", lambda r: memory(r.process_bytes)),
        ("unexplained", lambda r: memory(r.unexplained_bytes)),
    ),
    "work": (
        ("GFLOP", lambda r: gigaflop(r.flop)),
        ("moved", lambda r: memory(r.moved_bytes)),
        ("GFLOP/s", lambda r: "" if r.gflop_per_s is None else digits(r.gflop_per_s)),
        ("limit", lambda r: "" if r.limit_gflop_per_s is None else digits(r.limit_gflop_per_s)),
        ("of limit", lambda r: percent(r.limit_share, most=10)),
        ("limit by", lambda r: r.limit_library or ""),
        ("copy GB/s", lambda r: gigabytes_per_s(r.copy_gb_per_s)),
    ),
    "compile": (
        ("first call, cold", lambda r: seconds(r.compile_cold_s)),
        ("warm", lambda r: seconds(r.compile_warm_s)),
        ("pays off after", lambda r: images(r.break_even_images)),
        (
            "95 % interval",
            lambda r: bounded(images, r.break_even_low_images, r.break_even_high_images),
        ),
        ("extra memory", lambda r: memory(r.compile_extra_bytes)),
        ("graph breaks", lambda r: "" if r.graph_breaks is None else str(r.graph_breaks)),
        ("recompiles", lambda r: "" if r.recompiles is None else str(r.recompiles)),
    ),
    "error": (
        ("output error", lambda r: scientific(r.output_error)),
        ("gradient error", lambda r: scientific(r.gradient_error)),
        ("largest error", lambda r: scientific(r.largest_error)),
        ("top-1 agreement", lambda r: percent(r.top1_agreement)),
    ),
    _KERNELS: ((_KERNELS, lambda r: r.kernels or ""),),
    "energy": (("J/image", lambda r: joules(r.joules_per_image)),),
}


def known_views(names: Sequence[str]) -> tuple[str, ...]:
    """The views of these names; ``all`` are all but the usual one, ``none`` is none.

    Raises InputError for another name, which lists them.
    """
    if tuple(names) in ((), ("none",)):
        return ()
    if tuple(names) == ("all",):
        return tuple(name for name in VIEWS if name != USUAL_VIEW)
    for name in names:
        if name in ("all", "none"):
            raise InputError(f"{name!r} is given with others to show; expected it alone")
        if name not in VIEWS:
            raise InputError(
                f"nothing called {name!r} to show; expected all or none alone, or some of "
                + ", ".join(VIEWS)
            )
    return tuple(names)


def columns(records: Sequence[Record], views: Sequence[str]) -> dict[str, list[Column]]:
    """Of each view the columns in which some row says something; a view without any is left out."""
    told = {view: [each for each in VIEWS[view] if any(map(each[1], records))] for view in views}
    return {view: shown for view, shown in told.items() if shown}


def cost_tables(records: Sequence[Record], views: Sequence[str], width: int) -> list[Table]:
    """Tables of one factor's rows: as many views side by side as have room in ``width``.

    A view that is wider than that begins in a table of its own and is continued in further ones.
    """
    narrow = width < NARROW_COLUMNS
    room = width - 1 - sum(_need(column, records, narrow=narrow) for column in _WORDS)
    tables: list[dict[str, list[Column]]] = []
    left = 0
    for view, shown in columns(records, views).items():
        needs = {column: _need(column, records, narrow=narrow) for column in shown}
        parts = [shown] if sum(needs.values()) <= room else [[column] for column in shown]
        for place, part in enumerate(parts):
            need = sum(needs[column] for column in part)
            if need > left or (place == 0 and len(parts) > 1):
                tables.append({})
                left = room
            tables[-1].setdefault(view, []).extend(part)
            left -= need
    return [_table(records, each, narrow=narrow) for each in tables]


def _need(column: Column, records: Sequence[Record], *, narrow: bool) -> int:
    """What a column takes of a table's width, its border and blanks included."""
    return _width(column, records, narrow=narrow) + (1 if narrow else 3)


def _width(column: Column, records: Sequence[Record], *, narrow: bool) -> int:
    """Characters of a column: words may be folded, numbers never, a heading has two lines."""
    heading, cell = column
    most = (_NARROW if narrow else _WIDE).get(heading, math.inf)
    return int(max(_two_lines(heading), min(most, max(cell_len(cell(r)) for r in records))))


def _two_lines(heading: str) -> int:
    """Characters of the longer line of a heading that is broken where it is shortest."""
    words = heading.split()
    breaks = range(1, max(len(words), 2))
    return min(max(len(" ".join(words[:at])), len(" ".join(words[at:]))) for at in breaks)


def _table(
    records: Sequence[Record], views: dict[str, list[Column]], *, narrow: bool = False
) -> Table:
    numbers = [column for each in views.values() for column in each]
    title = f"{factor_name(records[0])}: {', '.join(views)}, on {records[0].device_name}"
    table = new_table(title, narrow=narrow)
    for column in (*_WORDS, *numbers):
        heading, is_words = column[0], column[0] in _WIDE
        justify: Literal["left", "right"] = "left" if is_words else "right"
        width = None if heading == _KERNELS else _width(column, records, narrow=narrow)
        table.add_column(
            heading, justify=justify, width=width, max_width=_MOST_KERNELS, overflow="fold"
        )
    for name, group in groupby(records, workload):
        for first, record in enumerate(group):
            row = [name if first == 0 else "", record.arm, *(cell(record) for _, cell in numbers)]
            table.add_row(*map(Text, row))
        table.add_section()
    return table


def cost_markdown(records: Sequence[Record], views: Sequence[str]) -> list[str]:
    """The same of one factor as lines of Markdown: one table for each view."""
    lines: list[str] = []
    for shown in columns(records, views).values():
        headings = ["workload", "arm", *(heading for heading, _ in shown)]
        marks = ["---:" if heading != _KERNELS else "---" for heading, _ in shown]
        lines += [f"| {' | '.join(headings)} |", f"|---|---|{'|'.join(marks)}|"]
        lines += [
            f"| {' | '.join([workload(r), escaped(r.arm), *(cell(r) for _, cell in shown)])} |"
            for r in records
        ]
        lines.append("")
    return lines
