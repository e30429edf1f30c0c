"""The summary of a run on one screen: what to choose, how sure that is, and what decided it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis.decision import BEST, Decision
from bench.records.environment import warnings
from bench.report.columns import Column, used, words
from bench.report.labels import level_name, situation_name
from bench.report.report_data import ReportData
from bench.report.tables.certificate import (
    Cell,
    cells,
    certificate,
    idle_lines,
)
from bench.report.tables.decision import choice_text, title
from bench.report.tables.decision_parts import effect_text, others_text, short_effect_text
from bench.report.tables.layout import NARROW_COLUMNS, add_columns, new_table
from bench.report.tables.run_quality import trust_lines
from bench.report.units import counted

# Lines of a screen. The table has a title, two lines of headings and a rule; below it are what is
# left out, the run's source (three) and the files written.
MOST_LINES = 60
_KEPT_LINES = 9
_INDENT = "    "
# Place of the effect among CELL_COLUMNS.
_EFFECT = 3


CELL_COLUMNS: tuple[Column[Cell], ...] = (
    words("workload", lambda cell: situation_name(cell.decision.situation)),
    words("factor", lambda cell: cell.part.factor),
    words("choice", lambda cell: cell.part.level),
    Column(heading="of the whole", text=effect_text),
    Column(heading="others\nat most", text=others_text),
    words("outcome", lambda cell: cell.outcome),
)


def overview(data: ReportData, console: Console) -> list[RenderableType]:
    """Return the summary of a run with decisions: at most MOST_LINES lines, if they have room.

    The rows that keep the default for sure are left out first. In a terminal sentences are wrapped.
    """
    sentences = [
        Text(title(data.aim), style="bold"),
        *decision_texts(data.decisions, data.spent_s),
        *map(Text, idle_lines(data.decisions)),
        Text(""),
        *(Text(f"Warning: {note}") for note in warnings(data.environment)),
        *map(Text, trust_lines(data)),
        Text(""),
    ]
    lines = [line for text in sentences for line in _wrapped(text, console)]
    best = [each for each in data.decisions if each.level == BEST]
    found = [cell for cell in cells(best) if not cell.is_idle]
    columns = used(_columns(console.width), found)
    table = _rows(found, columns, MOST_LINES - _KEPT_LINES - len(lines))
    return [*(lines if console.is_terminal else sentences), *table]


def _wrapped(text: Text, console: Console) -> Iterator[Text]:
    """Yield the lines of a text, all but the first indented."""
    lines = text.wrap(console, max(console.width - len(_INDENT), len(_INDENT)))
    for place, line in enumerate(lines):
        line.rstrip()
        yield Text(_INDENT).append(line) if place else line


def decision_texts(decisions: Sequence[Decision], spent_s: float) -> Iterator[Text]:
    """Yield the best of each situation with its certificate, then that at full precision."""
    for _, group in groupby(decisions, lambda each: each.situation):
        *full, best = group
        name = situation_name(best.situation)
        yield _sentences(f"{name}: ", best, certificate(best, spent_s))
        for each in full:
            how_sure = certificate(each, spent_s, short=True)
            yield _sentences(f"  {level_name(each)}: ", each, how_sure)


def _sentences(place: str, decision: Decision, how_sure: str) -> Text:
    text = Text(place)
    text.append(choice_text(decision), style="bold")
    return text.append(f". {how_sure}" if how_sure else ".")


def _columns(width: int) -> tuple[Column[Cell], ...]:
    """The columns for a terminal of this width; a narrow one has no interval."""
    if width >= NARROW_COLUMNS:
        return CELL_COLUMNS
    short = replace(CELL_COLUMNS[_EFFECT], text=short_effect_text)
    return tuple(short if place == _EFFECT else c for place, c in enumerate(CELL_COLUMNS))


def _rows(
    found: Sequence[Cell], columns: Sequence[Column[Cell]], room: int
) -> Iterator[RenderableType]:
    """Yield the table of what decided, and how many of its rows were left out."""
    if not found:
        return
    least = sorted(found, key=lambda cell: cell.is_open or not cell.is_default)
    spared = set(map(id, least[: max(len(found) - room, 0)]))
    yield _table([cell for cell in found if id(cell) not in spared], columns)
    if spared:
        yield Text(f"{counted(len(spared), 'more row')}: --show decision")


def _table(shown: Sequence[Cell], columns: Sequence[Column[Cell]]) -> Table:
    """Rich table with one line for each row: where it is too narrow the last cell is cut."""
    table = new_table("What decided it", narrow=True)
    add_columns(table, columns, shown)
    table.show_edge = False
    for column in table.columns[:-1]:
        column.no_wrap = True
    for name, group in groupby(shown, columns[0].text):
        for place, cell in enumerate(group):
            *texts, last = [column.text(cell) for column in columns[1:]]
            cut = Text(last, no_wrap=True, overflow="ellipsis")
            table.add_row(*map(Text, (name if place == 0 else "", *texts)), cut)
    return table
