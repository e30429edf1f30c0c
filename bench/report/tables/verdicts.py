"""The verdict tables of a run for the terminal, and its remarks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bench.analysis.row_costs import kernel_changes
from bench.analysis.rows import Analysis
from bench.records.notes import Note
from bench.records.row import Record
from bench.report.columns import ROW_COLUMNS, Column, chosen, used
from bench.report.labels import (
    arm_name,
    baseline_name,
    by_factor,
    factor_name,
    undecided_last,
    workload,
)
from bench.report.tables.layout import NARROW_COLUMNS, add_columns, new_table
from bench.report.tables.run_quality import trust

_STYLES = {"faster": "green", "slower": "red", "equivalent": "blue", "undecided": "yellow"}
_OF_WHOLE = "of the whole"
VERDICT_COLUMNS = tuple(
    column.with_detail() if column.heading == _OF_WHOLE else column.without_detail()
    for column in chosen(
        "workload",
        "arm",
        "latency",
        "speed-up",
        "95 % interval",
        _OF_WHOLE,
        "detectable effect",
        "verdict",
        "numeric error",
    )
)
_VERDICT = ROW_COLUMNS["verdict"]
# Left out on a narrow terminal; below _WIDE columns one of the two intervals is.
_SPARED = "detectable effect"
_WIDE = 130
# A remark on more arms gives their number.
_NAMED_ARMS = 3
SINGLE = (
    "One pass: the variation between processes was not measured; 2 % (one standard deviation) is "
    "assumed. Several passes measure it."
)


def verdict_columns(records: Sequence[Record], width: int = _WIDE) -> list[Column[Record]]:
    """Columns for rows in a table of ``width`` characters; a narrow one has fewer."""
    shown = used(VERDICT_COLUMNS, records)
    usual = [each for each in VERDICT_COLUMNS if each in shown or each.heading != _OF_WHOLE]
    if width < NARROW_COLUMNS:
        usual = [each for each in usual if each.heading != _SPARED]
    if width < _WIDE:
        usual = [ROW_COLUMNS[c.heading] if c.heading == _OF_WHOLE else c for c in usual]
    return usual


def factor_table(records: Sequence[Record], *, width: int = _WIDE) -> Table:
    """Rich table of one factor's rows; a line divides the workloads, undecided rows come last.

    A narrow table has fewer columns: words may wrap there, but no cell is cut.
    """
    first, rows = records[0], undecided_last(records)
    title = f"{factor_name(first)}: against {baseline_name(first)}, on {first.device_name}"
    table = new_table(title, narrow=width < NARROW_COLUMNS)
    shown = verdict_columns(rows, width)
    add_columns(table, shown, rows)
    table.columns[shown.index(_VERDICT)].min_width = len("= equivalent")
    for name, group in groupby(rows, workload):
        for place, record in enumerate(group):
            cells = [_styled(column, record) for column in shown[1:]]
            table.add_row(Text(name if place == 0 else ""), *cells)
        table.add_section()
    return table


def _styled(column: Column[Record], record: Record) -> Text:
    """A cell; the verdict in its colour."""
    if column is not _VERDICT:
        return Text(column.text(record))
    colour = "dim" if record.is_control else _STYLES.get(record.verdict or "", "dim")
    return Text(column.text(record), style=colour)


def remarks(records: Iterable[Record], notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """Return every reason and note of the rows, once, with the number of its rows.

    ``notes`` are by key of the comparison.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.error:
            found[f"{record.status}: {record.error}"].append(arm_name(record))
        for note in notes.get(record.key, ()):
            found[str(note)].append(arm_name(record))
        if record.unsteady:
            found[f"unsteady in {workload(record)}: {record.unsteady}"].append(arm_name(record))
    return [_remark(text, arms) for text, arms in found.items()]


def _remark(text: str, rows: Sequence[str]) -> str:
    """A remark after the names of its arms, or their number if there are many."""
    arms = list(dict.fromkeys(rows))
    who = ", ".join(arms) if len(arms) <= _NAMED_ARMS else f"{len(arms)} arms"
    return f"{who}: {text}" + (f" [{len(rows)} rows]" if len(rows) > 1 else "")


def verdict_tables(
    analysis: Analysis,
    warnings: Sequence[Note] = (),
    *,
    width: int = _WIDE,
    more: Callable[[Sequence[Record]], Sequence[Table]] = lambda _: (),
    has_verdicts: bool = True,
) -> Group:
    """Return the verdict tables of a run, with warnings above and remarks below.

    ``more`` returns further tables for one factor's rows, ``has_verdicts=False`` only those.
    """
    records = analysis.records
    tables = [
        table
        for group in by_factor(records)
        for table in (*([factor_table(group, width=width)] * has_verdicts), *more(group))
    ]
    before = [*(f"Warning: {note}" for note in warnings), *trust(analysis)]
    after = [*remarks(records, analysis.notes), *kernel_changes(records)]
    if max((record.passes for record in records), default=0) == 1:
        after.append(SINGLE)
    return Group(*map(Text, before), *tables, *map(Text, after))
