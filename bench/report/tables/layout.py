"""Tables in the style of the suite: for the terminal and as Markdown."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bench.report.columns import Column
from bench.report.units import escaped

T = TypeVar("T")
# A terminal of fewer characters gets narrow tables.
NARROW_COLUMNS = 100


def new_table(title: str, *, narrow: bool = False) -> Table:
    """Rich table without columns and rows. Brackets in the title are not markup."""
    style, padding = (box.SIMPLE_HEAD, (0, 0)) if narrow else (box.HEAVY_HEAD, (0, 1))
    return Table(title=Text(title, "bold"), title_justify="left", box=style, padding=padding)


def justified(column: Column[T]) -> Literal["left", "right"]:
    """Alignment of a column: words to the left, numbers to the right."""
    return "left" if column.is_words else "right"


def fitting_width(heading: str, cells: Iterable[str], most: float = math.inf) -> int:
    """Characters of a column: its heading has two lines, its cells one, up to ``most``."""
    return int(max(_two_lines(heading), min(most, max(map(cell_len, cells), default=0))))


def _two_lines(heading: str) -> int:
    """Characters of the longer line of a heading that is broken where it is shortest."""
    words = heading.split()
    breaks = range(1, max(len(words), 2))
    return min(max(len(" ".join(words[:at])), len(" ".join(words[at:]))) for at in breaks)


def add_columns(table: Table, columns: Sequence[Column[T]], items: Sequence[T]) -> None:
    """Add columns: numbers are never folded, words are where room is short."""
    for column in columns:
        width = None if column.is_words else fitting_width(column.heading, map(column.text, items))
        table.add_column(column.heading, justify=justified(column), width=width, overflow="fold")


def markdown_table(columns: Sequence[Column[T]], items: Iterable[T]) -> list[str]:
    """Lines of a Markdown table: a row for each item, numbers to the right."""
    return [
        f"| {' | '.join(column.heading for column in columns)} |",
        f"|{'|'.join('---' if column.is_words else '---:' for column in columns)}|",
        *(f"| {' | '.join(escaped(each.cell(item)) for each in columns)} |" for item in items),
    ]
