"""The verdict table, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.record import Environment, Record
from bench.report.units import bounds, duration, milliseconds, scientific, times

_SIGNS = {"faster": "▲", "slower": "▼", "equivalent": "=", "undecided": "?"}
_STYLES = {"faster": "green", "slower": "red", "equivalent": "blue", "undecided": "yellow"}
_USUAL_PIXELS = 224
HEADINGS = ("workload", "arm", "latency", "speed-up", "95 % interval", "verdict", "error vs fp64")


def by_factor(records: Iterable[Record]) -> list[tuple[str, str, list[Record]]]:
    """Device, factor and rows of each group, in the rows' own order."""

    def key(record: Record) -> tuple[str, str]:
        return record.device, record.factor

    return [(*names, list(group)) for names, group in groupby(records, key)]


def workload(record: Record) -> str:
    """Short name of a row's workload: ``B/16 model b1 train``, with an unusual image size."""
    name = f"{record.variant} {record.component} b{record.batch_size} {record.mode}"
    return name if record.image_size == _USUAL_PIXELS else f"{name} {record.image_size}px"


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
        verdict(record),
        scientific(record.output_error),
    )


def factor_table(factor: str, records: Sequence[Record]) -> Table:
    """Rich table of one factor's rows; a line divides the workloads."""
    title = f"{factor}: against {records[0].baseline}, on {records[0].device_name}"
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in HEADINGS:
        # Words may wrap in a narrow terminal, but none may be cut.
        least = len("= equivalent") if heading == "verdict" else None
        justify: Literal["left", "right"] = "left" if heading in HEADINGS[:2] else "right"
        table.add_column(heading, justify=justify, min_width=least)
    for _, group in groupby(records, workload):
        for place, record in enumerate(group):
            name, *rest = cells(record)
            style = _STYLES.get(record.verdict or "", "dim")
            row: list[RenderableType] = [name if place == 0 else "", *rest]
            row[5] = Text(rest[4], style="dim" if record.is_control else style)
            table.add_row(*row)
        table.add_section()
    return table


def controls(records: Sequence[Record]) -> str:
    """One sentence on the comparisons of identical code."""
    judged = [r for r in records if r.is_control and r.verdict]
    strayed = [r for r in judged if r.verdict in ("faster", "slower")]
    return f"Controls: {len(strayed)} of {len(judged)} copies of a baseline were called different."


def remarks(records: Iterable[Record]) -> list[str]:
    """Every reason and note of the rows, once, with how many rows it concerns."""
    texts: dict[str, int] = {}
    for record in records:
        if record.error:
            text = f"{record.status} ({record.arm}): {record.error}"
            texts[text] = texts.get(text, 0) + 1
        if record.note:
            text = f"{record.arm}: {record.note}"
            texts[text] = texts.get(text, 0) + 1
    return [f"{text} [{count} rows]" if count > 1 else text for text, count in texts.items()]


def summary(records: Sequence[Record]) -> Group:
    """The verdict tables of a run, and below them what a reader must know."""
    tables = [factor_table(factor, group) for _, factor, group in by_factor(records)]
    lines = [controls(records), *remarks(records)]
    if max((record.passes for record in records), default=0) == 1:
        lines.append("One pass decides nothing: its calls share one process. Give --passes 3.")
    return Group(*tables, *(Text(line) for line in lines))


def provenance(environment: Environment, command: str, started: str) -> str:
    """Hardware, versions, commit, time and command, for a figure or a table."""
    hardware = [environment.cpu, f"{environment.threads} threads", *environment.gpus]
    commit = f"commit {environment.commit[:10]}" if environment.commit else "no commit"
    dirty = " with changes" if environment.dirty else ""
    versions = f"torch {environment.torch}, Python {environment.python}"
    return f"{', '.join(hardware)}; {versions}; {commit}{dirty}; {started}\n{command}"


def markdown(records: Sequence[Record]) -> str:
    """The verdict tables as Markdown."""
    parts = []
    for _, factor, group in by_factor(records):
        parts += [f"**{factor}**, against `{group[0].baseline}`, on {group[0].device_name}:", ""]
        parts += [f"| {' | '.join(HEADINGS)} |", "|---|---|" + "---:|" * (len(HEADINGS) - 2)]
        parts += [f"| {' | '.join(cells(record))} |" for record in group]
        parts.append("")
    return "\n".join([*parts, controls(records)]) + "\n"


def share_line(share: float | None, spent_s: float) -> str:
    """One sentence on where the run's time went."""
    if share is None:
        return "Nothing was measured."
    return (
        f"{share:.0%} of {duration(spent_s)} of measuring was inside timed calls "
        "(imports, builds, checks, compiles and first calls apart)."
    )
