"""The verdict table, for the terminal and as Markdown."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis.notes import BETWEEN
from bench.analysis.row_costs import kernel_changes
from bench.analysis.rows import Analysis
from bench.records.environment import Environment
from bench.records.row import Record
from bench.report.labels import by_factor, factor_name, workload
from bench.report.tables.run_quality import trust
from bench.report.units import bounds, duration, milliseconds, percent, scientific, times

_SIGNS = {"faster": "▲", "slower": "▼", "equivalent": "=", "undecided": "?"}
_STYLES = {"faster": "green", "slower": "red", "equivalent": "blue", "undecided": "yellow"}
HEADINGS = (
    "workload",
    "arm",
    "latency",
    "speed-up",
    "95 % interval",
    "could see",
    "verdict",
    "numeric error",
)
_VERDICT = HEADINGS.index("verdict")
# Before this place stand words. The column that a narrow terminal does without, and how narrow.
_NUMBERS = HEADINGS.index("latency")
_SPARED = "could see"
NARROW_COLUMNS = 100
# A remark that concerns more arms gives their number.
_NAMED_ARMS = 3


SINGLE = (
    "One pass: how much another process would differ was not measured but taken as 2 % (one "
    "standard deviation). Several passes measure it."
)


def verdict(record: Record) -> str:
    """What is said of a row: its verdict with a sign, or its status where it has none."""
    if record.verdict is None:
        return record.status
    said = f"{_SIGNS[record.verdict]} {record.verdict}"
    return f"{said} (control)" if record.is_control else said


def cells(record: Record) -> tuple[str, ...]:
    """A row's cells, under HEADINGS."""
    return (
        workload(record),
        record.arm,
        milliseconds(record.latency_ms),
        times(record.speedup),
        bounds(record.speedup_low, record.speedup_high),
        percent(record.detectable_effect),
        verdict(record),
        scientific(record.output_error),
    )


def new_table(title: str, *, narrow: bool = False) -> Table:
    """Rich table without columns and rows. Names may have brackets, which are no markup."""
    style, padding = (box.SIMPLE_HEAD, (0, 0)) if narrow else (box.HEAVY_HEAD, (0, 1))
    return Table(title=Text(title, "bold"), title_justify="left", box=style, padding=padding)


def factor_table(records: Sequence[Record], *, narrow: bool = False) -> Table:
    """Rich table of one factor's rows; a line divides the workloads.

    A narrow terminal has no room for every column: words may wrap there, but none may be cut.
    """
    title = f"{factor_name(records[0])}: against {records[0].baseline}, on {records[0].device_name}"
    table = new_table(title, narrow=narrow)
    shown = [place for place, heading in enumerate(HEADINGS) if not narrow or heading != _SPARED]
    for place in shown:
        least = len("= equivalent") if place == _VERDICT else None
        justify: Literal["left", "right"] = "left" if place < _NUMBERS else "right"
        table.add_column(HEADINGS[place], justify=justify, min_width=least, overflow="fold")
    for _, group in groupby(records, workload):
        for first, record in enumerate(group):
            row = _styled(record, is_first=first == 0)
            table.add_row(*(row[place] for place in shown))
        table.add_section()
    return table


def _styled(record: Record, *, is_first: bool) -> list[RenderableType]:
    """A row's cells with the colour of its verdict; the workload stands in its first row alone."""
    row: list[RenderableType] = [Text(cell) for cell in cells(record)]
    colour = "dim" if record.is_control else _STYLES.get(record.verdict or "", "dim")
    row[_VERDICT] = Text(verdict(record), style=colour)
    return row if is_first else ["", *row[1:]]


def remarks(records: Iterable[Record]) -> list[str]:
    """Every reason and note of the rows, once, with how many rows it concerns."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.error:
            found[f"{record.status}: {record.error}"].append(record.arm)
        for note in (record.note or "").split(BETWEEN):
            if note:
                found[note].append(record.arm)
        if record.unsteady:
            found[f"unsteady in {workload(record)}: {record.unsteady}"].append(record.arm)
    return [_remark(text, arms) for text, arms in found.items()]


def _remark(text: str, rows: Sequence[str]) -> str:
    """What is said of rows, after the names of their arms, or their number where they are many."""
    arms = list(dict.fromkeys(rows))
    who = ", ".join(arms) if len(arms) <= _NAMED_ARMS else f"{len(arms)} arms"
    return f"{who}: {text}" + (f" [{len(rows)} rows]" if len(rows) > 1 else "")


def summary(
    analysis: Analysis,
    warnings: Sequence[str] = (),
    *,
    narrow: bool = False,
    more: Callable[[Sequence[Record]], Sequence[Table]] = lambda _: (),
    first: Sequence[RenderableType] = (),
) -> Group:
    """The verdict tables of a run, between what to know before and after reading them.

    ``more`` gives the tables that follow those of one factor's rows, ``first`` is what stands at
    the top.
    """
    records = analysis.records
    tables = [
        table
        for group in by_factor(records)
        for table in (factor_table(group, narrow=narrow), *more(group))
    ]
    before = [*(f"Warning: {text}" for text in warnings), *trust(analysis)]
    after = [*remarks(records), *kernel_changes(records)]
    if max((record.passes for record in records), default=0) == 1:
        after.append(SINGLE)
    return Group(*first, *map(Text, before), *tables, *map(Text, after))


def provenance(
    environment: Environment,
    command: str,
    started: str,
    own_commit: str | None = None,
    has_changes: bool = False,  # noqa: FBT001, FBT002 (whether the commit has any)
) -> str:
    """Hardware, versions, commit, time and command, for a figure or a table.

    Of a user's own arms their tree's commit, too; the other is then that of vitbench.
    """
    hardware = [environment.cpu, f"{environment.threads} threads", *environment.gpus]
    commit = f"commit {environment.commit[:10]}" if environment.commit else "no commit"
    dirty = " with changes" if environment.dirty else ""
    versions = f"torch {environment.torch}, Python {environment.python}"
    if own_commit is not None:
        own = f"{own_commit[:10]}{' with changes' if has_changes else ''}"
        commit = f"arms at commit {own}, vitbench at {commit.removeprefix('commit ')}"
    return f"{', '.join(hardware)}; {versions}; {commit}{dirty}; {started}\n{command}"


def share_line(share: float | None, spent_s: float) -> str:
    """One sentence on where the run's time went."""
    if share is None:
        return "Nothing was measured."
    return (
        f"{share:.0%} of {duration(spent_s)} of measuring was inside timed calls "
        "(imports, builds, checks, compiles and first calls apart)."
    )
