"""The verdict tables of a run for the terminal, and its remarks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis.row_costs import kernel_changes
from bench.analysis.rows import Analysis
from bench.records.notes import Note
from bench.records.row import Record
from bench.report.columns import ROW_COLUMNS, Column, chosen
from bench.report.labels import (
    arm_name,
    baseline_name,
    by_factor,
    factor_name,
    workload,
)
from bench.report.tables.layout import add_columns, new_table
from bench.report.tables.run_quality import trust
from bench.report.units import duration

_STYLES = {"faster": "green", "slower": "red", "equivalent": "blue", "undecided": "yellow"}
VERDICT_COLUMNS = tuple(
    column.without_detail()
    for column in chosen(
        "workload",
        "arm",
        "latency",
        "speed-up",
        "95 % interval",
        "detectable effect",
        "verdict",
        "numeric error",
    )
)
_VERDICT = ROW_COLUMNS["verdict"]
# Left out on a narrow terminal.
_SPARED = "detectable effect"
# A remark on more arms gives their number.
_NAMED_ARMS = 3
SINGLE = (
    "One pass: the variation between processes was not measured; 2 % (one standard deviation) is "
    "assumed. Several passes measure it."
)


def factor_table(records: Sequence[Record], *, narrow: bool = False) -> Table:
    """Rich table of one factor's rows; a line divides the workloads.

    A narrow table has fewer columns: words may wrap there, but no cell is cut.
    """
    first = records[0]
    title = f"{factor_name(first)}: against {baseline_name(first)}, on {first.device_name}"
    table = new_table(title, narrow=narrow)
    shown = [each for each in VERDICT_COLUMNS if not narrow or each.heading != _SPARED]
    add_columns(table, shown, records)
    table.columns[shown.index(_VERDICT)].min_width = len("= equivalent")
    for name, group in groupby(records, workload):
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


def summary(
    analysis: Analysis,
    warnings: Sequence[Note] = (),
    *,
    narrow: bool = False,
    more: Callable[[Sequence[Record]], Sequence[Table]] = lambda _: (),
    first: Sequence[RenderableType] = (),
) -> Group:
    """Return the verdict tables of a run, with warnings above and remarks below.

    ``more`` returns further tables for one factor's rows, ``first`` goes to the top.
    """
    records = analysis.records
    tables = [
        table
        for group in by_factor(records)
        for table in (factor_table(group, narrow=narrow), *more(group))
    ]
    before = [*(f"Warning: {note}" for note in warnings), *trust(analysis)]
    after = [*remarks(records, analysis.notes), *kernel_changes(records)]
    if max((record.passes for record in records), default=0) == 1:
        after.append(SINGLE)
    return Group(*first, *map(Text, before), *tables, *map(Text, after))


def share_line(share: float | None, spent_s: float) -> str:
    """Return a sentence on the share of time inside timed calls."""
    if share is None:
        return "Nothing was measured."
    return (
        f"Timed calls took {100 * share:.0f} % of the run's {duration(spent_s)}; imports, builds, "
        "checks, compiling, warm-up and the survey took the rest."
    )
