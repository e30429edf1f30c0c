"""The verdict table, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis.rows import Analysis
from bench.analysis.verdicts import FALSE_SHARE, Controls
from bench.machine import Environment
from bench.record import OWN_FACTOR, Record
from bench.report.units import (
    bounds,
    counted,
    digits,
    duration,
    milliseconds,
    percent,
    scientific,
    times,
)

_SIGNS = {"faster": "▲", "slower": "▼", "equivalent": "=", "undecided": "?"}
_STYLES = {"faster": "green", "slower": "red", "equivalent": "blue", "undecided": "yellow"}
_USUAL_PIXELS = 224
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


SINGLE = (
    "One pass: how much another process would differ was not measured but taken as 2 % (one "
    "standard deviation). Several passes measure it."
)


def by_factor(records: Iterable[Record]) -> list[list[Record]]:
    """The rows of each device and factor, in the rows' own order."""

    def key(record: Record) -> tuple[str, str]:
        return record.device, record.factor

    return [list(group) for _, group in groupby(records, key)]


def factor_name(record: Record) -> str:
    """What a row's comparison varies, as people say it."""
    return "compare" if record.factor == OWN_FACTOR else record.factor


def workload(record: Record) -> str:
    """Short name of a row's workload: ``B/16 model b1 train``, with an unusual image size."""
    if record.inputs is not None:
        return f"{record.inputs} {record.mode}"
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
        percent(record.detectable_effect),
        verdict(record),
        scientific(record.output_error),
    )


def factor_table(records: Sequence[Record], *, narrow: bool = False) -> Table:
    """Rich table of one factor's rows; a line divides the workloads.

    A narrow terminal has no room for every column: words may wrap there, but none may be cut.
    """
    title = f"{factor_name(records[0])}: against {records[0].baseline}, on {records[0].device_name}"
    style, padding = (box.SIMPLE_HEAD, (0, 0)) if narrow else (box.HEAVY_HEAD, (0, 1))
    table = Table(title=title, title_justify="left", title_style="bold", box=style, padding=padding)
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
    row: list[RenderableType] = list(cells(record))
    colour = "dim" if record.is_control else _STYLES.get(record.verdict or "", "dim")
    row[_VERDICT] = Text(verdict(record), style=colour)
    return row if is_first else ["", *row[1:]]


def trust(analysis: Analysis) -> list[str]:
    """What to know before the table: what the controls say, and how many verdicts may be false."""
    lines = [
        _controls(found, f" on {device}" if len(analysis.controls) > 1 else "")
        for device, found in analysis.controls.items()
    ]
    if analysis.decided:
        expected = digits(analysis.expected_false, 2)
        verdicts = counted(analysis.decided, "verdict")
        lines.append(
            f"Of {verdicts} at most {expected} are expected to be false (share of false "
            f"discoveries held to {100 * FALSE_SHARE:.0f} %)."
        )
    short = sum(map(_falls_short, analysis.records))
    if short:
        lines.append(
            f"{counted(short, 'undecided row')} would have a verdict but for the adjustment to the "
            "number of comparisons."
        )
    return [*lines, *_disturbances(analysis)]


def _controls(controls: Controls, where: str) -> str:
    if not controls.count:
        return f"Controls{where}: none was measured."
    said = f"Controls{where}: {controls.strayed} of {controls.count} copies of a baseline were "
    said += "called different"
    if controls.withheld:
        return (
            f"{said}; they stray {controls.widening:.1f} times as far as their intervals allow, so "
            "NO VERDICT IS GIVEN: quiet the machine or give more time, and measure again."
        )
    if controls.widening > 1:
        return (
            f"{said}; they stray further than their intervals allow, so every interval was widened "
            f"to {controls.widening:.2f} times its width."
        )
    return f"{said}."


def _falls_short(record: Record) -> bool:
    """Whether a candidate's interval excludes 1 although it is undecided."""
    low, high = record.speedup_low, record.speedup_high
    if record.is_control or record.verdict != "undecided" or low is None or high is None:
        return False
    return low > 1 or high < 1


def _disturbances(analysis: Analysis) -> list[str]:
    """How many pairs foreign load disturbed and what became of them; what never settled."""
    lines, records = [], analysis.records
    rounds, disturbed = sum(r.rounds for r in records), sum(r.disturbed or 0 for r in records)
    if disturbed:
        causes = ", ".join(f"{cause} {count}" for cause, count in analysis.causes.items())
        kept = disturbed - analysis.left_out
        why = f", {kept} kept where less than half of a pass was calm (a median bears them)"
        lines.append(
            f"{disturbed} of {rounds} pairs were disturbed by foreign load ({causes}): "
            f"{analysis.left_out} were left out{why if kept else ''}."
        )
    unsteady = sum(record.unsteady is not None for record in records)
    if unsteady:
        rows = "row is" if unsteady == 1 else "rows are"
        lines.append(f"{unsteady} {rows} unsteady: still getting faster, or warm-up had no time.")
    return lines


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
        if record.unsteady:
            text = f"unsteady ({record.arm}, {workload(record)}): {record.unsteady}"
            texts[text] = texts.get(text, 0) + 1
    return [f"{text} [{count} rows]" if count > 1 else text for text, count in texts.items()]


def summary(analysis: Analysis, warnings: Sequence[str] = (), *, narrow: bool = False) -> Group:
    """The verdict tables of a run, between what to know before and after reading them."""
    records = analysis.records
    tables = [factor_table(group, narrow=narrow) for group in by_factor(records)]
    before = [*(f"Warning: {text}" for text in warnings), *trust(analysis)]
    after = remarks(records)
    if max((record.passes for record in records), default=0) == 1:
        after.append(SINGLE)
    return Group(*map(Text, before), *tables, *map(Text, after))


def provenance(environment: Environment, command: str, started: str) -> str:
    """Hardware, versions, commit, time and command, for a figure or a table."""
    hardware = [environment.cpu, f"{environment.threads} threads", *environment.gpus]
    commit = f"commit {environment.commit[:10]}" if environment.commit else "no commit"
    dirty = " with changes" if environment.dirty else ""
    versions = f"torch {environment.torch}, Python {environment.python}"
    return f"{', '.join(hardware)}; {versions}; {commit}{dirty}; {started}\n{command}"


def share_line(share: float | None, spent_s: float) -> str:
    """One sentence on where the run's time went."""
    if share is None:
        return "Nothing was measured."
    return (
        f"{share:.0%} of {duration(spent_s)} of measuring was inside timed calls "
        "(imports, builds, checks, compiles and first calls apart)."
    )
