"""Tables of costs: memory, work and its limit, compiling, error, kernels, energy."""

import math
from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from bench.records.errors import InputError
from bench.records.row import Record
from bench.report.columns import Column, chosen, used
from bench.report.labels import factor_name, workload
from bench.report.tables.layout import (
    NARROW_COLUMNS,
    fitting_width,
    justified,
    markdown_table,
    new_table,
)

_KERNELS = "kernels"
# The first columns of every table.
_FIRST = chosen("workload", "arm")
# Columns of words are folded beyond this many characters; kernels get more where there is room.
_WIDE = {"workload": 36, "arm": 36, _KERNELS: 24}
_NARROW = {"workload": 14, "arm": 14, _KERNELS: 24}
_MOST_KERNELS = 36
# What decides, of every other view.
USUAL_VIEW = "cost"
# Tables of another kind that a run can show: what to choose in full, and the verdicts.
DECISION_VIEW, VERDICT_VIEW = SECTIONS = ("decision", "verdicts")
VIEWS: dict[str, tuple[Column[Record], ...]] = {
    USUAL_VIEW: (
        *chosen("memory", "vs baseline", "GFLOP/s"),
        # Its interval is in the view of work.
        *(column.without_detail() for column in chosen("of limit")),
        *chosen("first call", "pays off after", "top-1 agreement", "J/image", _KERNELS),
    ),
    "memory": chosen(
        "memory", "vs baseline", "predicted", "off by", "reserved", "process", "unexplained"
    ),
    "work": chosen("GFLOP", "moved", "GFLOP/s", "limit", "of limit", "limit by", "copy GB/s"),
    "compile": chosen(
        "first call",
        "first call, warm cache",
        "pays off after",
        "extra memory",
        "graph breaks",
        "recompiles",
    ),
    "error": chosen("numeric error", "gradient error", "largest error", "top-1 agreement"),
    _KERNELS: chosen(_KERNELS),
    "energy": chosen("J/image"),
}


def known_views(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the views of these names; the usual one without names.

    ``all`` are all but the usual one, ``none`` is none. Raises InputError for another name.
    """
    if names is None:
        return (USUAL_VIEW,)
    known = (*SECTIONS, *VIEWS)
    if tuple(names) in ((), ("none",)):
        return ()
    if tuple(names) == ("all",):
        return tuple(name for name in known if name != USUAL_VIEW)
    for name in names:
        if name in ("all", "none"):
            raise InputError(f"view {name!r} cannot be combined; give it alone")
        if name not in known:
            raise InputError(f"unknown view {name!r}; known: {', '.join((*known, 'all', 'none'))}")
    return tuple(names)


def columns(records: Sequence[Record], views: Sequence[str]) -> dict[str, list[Column[Record]]]:
    """Return each view's columns in which some row has text; views without any are left out."""
    found = {view: used(VIEWS[view], records) for view in views if view in VIEWS}
    return {view: shown for view, shown in found.items() if shown}


def cost_tables(records: Sequence[Record], views: Sequence[str], width: int) -> list[Table]:
    """Tables of one factor's rows: as many views side by side as fit into ``width`` characters.

    A view that is wider than that begins in a table of its own and is continued in further ones.
    """
    narrow = width < NARROW_COLUMNS
    room = width - 1 - sum(_need(column, records, narrow=narrow) for column in _FIRST)
    tables: list[dict[str, list[Column[Record]]]] = []
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


def _need(column: Column[Record], records: Sequence[Record], *, narrow: bool) -> int:
    """Characters that a column takes of a table's width, border and blanks included."""
    return _width(column, records, narrow=narrow) + (1 if narrow else 3)


def _width(column: Column[Record], records: Sequence[Record], *, narrow: bool) -> int:
    """Characters of a column: words may be folded, numbers never, a heading has two lines."""
    most = (_NARROW if narrow else _WIDE).get(column.heading, math.inf)
    return fitting_width(column.heading, map(column.cell, records), most)


def _table(
    records: Sequence[Record], views: dict[str, list[Column[Record]]], *, narrow: bool = False
) -> Table:
    shown = [column for each in views.values() for column in each]
    title = f"{factor_name(records[0])}: {', '.join(views)}, on {records[0].device_name}"
    table = new_table(title, narrow=narrow)
    for column in (*_FIRST, *shown):
        width = None if column.heading == _KERNELS else _width(column, records, narrow=narrow)
        table.add_column(
            column.heading,
            justify=justified(column),
            width=width,
            max_width=_MOST_KERNELS,
            overflow="fold",
        )
    for name, group in groupby(records, workload):
        for place, record in enumerate(group):
            cells = [column.cell(record) for column in (*_FIRST[1:], *shown)]
            table.add_row(Text(name if place == 0 else ""), *map(Text, cells))
        table.add_section()
    return table


def cost_markdown(records: Sequence[Record], views: Sequence[str]) -> list[str]:
    """Lines of Markdown of one factor's rows: one table for each view."""
    lines: list[str] = []
    for shown in columns(records, views).values():
        lines += [*markdown_table((*_FIRST, *shown), records), ""]
    return lines
