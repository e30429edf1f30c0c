"""How each part of a choice was chosen: what it changes of the whole, what others could gain."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bench.report.columns import Column, words
from bench.report.labels import level_name, situation_name
from bench.report.tables.certificate import Cell
from bench.report.tables.decision_notes import ratio
from bench.report.tables.layout import add_columns, new_table
from bench.report.units import bound, of_whole_within


def _part_gain(cell: Cell) -> str:
    """Gain over the factor's default level; the default itself has none."""
    return "" if cell.is_default else ratio(cell.part.gain)


def others_text(cell: Cell) -> str:
    """What another arm could gain of the whole; of a choice by latency alone."""
    return bound(cell.part.bound_of_whole) if cell.is_by_latency else ""


def effect_text(cell: Cell) -> str:
    """What the choice changes of the whole; the default changes nothing."""
    found = cell.effect
    if cell.is_default or found is None:
        return "" if cell.is_default else "unknown"
    ends = [None if end is None else end - 1 for end in (found.low, found.high)]
    return of_whole_within(found.value - 1, *ends)


def short_effect_text(cell: Cell) -> str:
    """What the choice changes of the whole, without its interval."""
    return effect_text(cell).partition(" (")[0]


PART_COLUMNS: tuple[Column[Cell], ...] = (
    words("workload", lambda cell: situation_name(cell.decision.situation)),
    words("best", lambda cell: level_name(cell.decision)),
    words("factor", lambda cell: cell.part.factor),
    words("level", lambda cell: cell.part.level),
    Column(heading="gain", text=_part_gain),
    Column(heading="of the whole", text=effect_text),
    Column(heading="others at most", text=others_text),
    words("measured on", lambda cell: f"{cell.part.component} b{cell.part.batch_size}"),
    words("outcome", lambda cell: cell.outcome),
)


def part_table(found: Sequence[Cell], *, narrow: bool = False) -> Table:
    """Rich table of how each part of the decisions was chosen."""
    table = new_table("How each part was chosen", narrow=narrow)
    add_columns(table, PART_COLUMNS, found)
    for cell in found:
        table.add_row(*(Text(column.text(cell)) for column in PART_COLUMNS))
    return table
