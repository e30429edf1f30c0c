"""What to choose, as a table, as Markdown and in a line: records in, text out."""

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.table import Table
from rich.text import Text

from bench.analysis.decision import Aim, Decision
from bench.records.comparison import PLAIN
from bench.report.tables.decision_notes import (
    choice_name,
    decision_notes,
    place_name,
    ratio,
    refuted,
)
from bench.report.tables.verdicts import new_table, verdict
from bench.report.units import bounds, escaped, memory, scientific, times

_PLAIN_LEVELS = f"{PLAIN.patcher}, {PLAIN.attention}, {PLAIN.compile}, {PLAIN.precision}"
HEADINGS = (
    "workload",
    "choose",
    "gain",
    "speed-up",
    "95 % interval",
    "by its parts",
    "verdict",
    "memory",
    "by plain",
    "numeric error",
    "may be better",
)
PART_HEADINGS = ("workload", "factor", "level", "gain", "measured on", "may be better")
_OPEN = HEADINGS.index("may be better")
_WORDS = ("workload", "choose", "verdict", "may be better")
BRIEF_HEADINGS = ("workload", "choose", "gain", "speed-up", "memory", "numeric error")
# What a narrow terminal does without.
_SPARED = ("by its parts", "verdict", "by plain")


def undecided(decision: Decision) -> str:
    """The arms that were not chosen and may be better, by factor."""
    parts = [part for part in decision.parts if part.rivals]
    return "; ".join(f"{part.factor}: {', '.join(part.rivals)}" for part in parts)


def cells(decision: Decision, *, brief: bool = False) -> tuple[str, ...]:
    """A decision's cells, under HEADINGS; the workload says on which component it was measured.

    In ``brief`` what its parts let expect has no interval.
    """
    whole, found, gain = decision.whole, decision.speedup, decision.gain
    # Of the plain arm nothing need be expected.
    is_plain = decision.is_blind or decision.combination == PLAIN
    expected = None if is_plain else decision.expected
    if decision.is_refuted:
        # What it was stands in the notes: it is not what to choose.
        whole = found = expected = gain = None
    on = f" ({whole.component})" if whole else ""
    share = whole.memory_ratio if whole else None
    return (
        place_name(decision) + on,
        choice_name(decision),
        ratio(gain, brief=brief) if gain else "",
        times(found.value) if found else "",
        bounds(found.low, found.high) if found else "",
        ratio(expected, brief=brief) if expected else "",
        verdict(whole) if whole else "",
        memory(whole.allocated_bytes) if whole else "",
        times(share),
        scientific(whole.output_error) if whole else "",
        undecided(decision),
    )


def brief_cells(decision: Decision) -> tuple[str, ...]:
    """A decision's cells, under BRIEF_HEADINGS: speed-up with its interval, memory with its ratio.

    The verdict is left out: an arm that is chosen by latency was called faster.
    """
    cell = dict(zip(HEADINGS, cells(decision), strict=True))
    return (
        cell["workload"],
        cell["choose"],
        cell["gain"],
        _detailed(cell["speed-up"], cell["95 % interval"]),
        _detailed(cell["memory"], cell["by plain"]),
        cell["numeric error"],
    )


def _detailed(value: str, detail: str) -> str:
    return f"{value} ({detail})" if detail else value


def part_cells(decisions: Sequence[Decision]) -> Iterator[tuple[str, ...]]:
    """What was chosen of each factor, and how much better it is than the plain level there.

    Under PART_HEADINGS; a plain level, than which nothing is better, has no gain.
    """
    for decision in decisions:
        for part in decision.parts:
            is_plain = part.level == getattr(PLAIN, part.factor)
            yield (
                place_name(decision),
                part.factor,
                part.level,
                "" if is_plain else ratio(part.gain),
                f"{part.component} b{part.batch_size}",
                ", ".join(part.rivals),
            )


def title(aim: Aim) -> str:
    """What the choice is by, and against what."""
    bound = f", errors up to {aim.max_error:g}" if aim.max_error is not None else ""
    return f"What to choose by {aim.objective}{bound}, against plain ({_PLAIN_LEVELS})"


def used_headings(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """The indices of the columns in which some row has text."""
    return [place for place, column in enumerate(zip(*rows, strict=True)) if any(column)]


def decision_table(decisions: Sequence[Decision], aim: Aim, *, narrow: bool = False) -> Table:
    """Rich table of a run's decisions; what may be better is left to ``open_lines``."""
    table = new_table(title(aim), narrow=narrow)
    rows = [cells(each, brief=True) for each in decisions]
    spared = {HEADINGS[_OPEN], *(_SPARED if narrow else ())}
    shown = [place for place in used_headings(rows) if HEADINGS[place] not in spared]
    for place in shown:
        justify: Literal["left", "right"] = "left" if HEADINGS[place] in _WORDS else "right"
        table.add_column(HEADINGS[place], justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in shown))
    return table


def open_lines(decisions: Sequence[Decision]) -> list[str]:
    """What was not decided and may be better, a line for each situation."""
    return [
        f"{place_name(each)}: undecided, and may be better: {undecided(each)}."
        for each in decisions
        if undecided(each)
    ]


def decision_markdown(decisions: Sequence[Decision], aim: Aim, *, brief: bool = False) -> list[str]:
    """The decisions as lines of Markdown, with notes below the table; nothing without decisions.

    ``brief`` has the columns of BRIEF_HEADINGS, else the table has those of HEADINGS.
    """
    if not decisions:
        return []
    headings, row_of = (BRIEF_HEADINGS, brief_cells) if brief else (HEADINGS, cells)
    rows = [row_of(each) for each in decisions]
    used = used_headings(rows)
    marks = ["---" if headings[place] in _WORDS else "---:" for place in used]
    return [
        f"**{title(aim)}**, on {escaped(decisions[0].situation.device_name)}:",
        "",
        f"| {' | '.join(headings[place] for place in used)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(escaped(row[place]) for place in used)} |" for row in rows),
        "",
        *(f"- {escaped(line)}" for line in decision_notes(decisions, aim)),
        "",
    ]


def decision_lines(decisions: Sequence[Decision]) -> list[str]:
    """One line a situation, for the end of what a terminal shows."""
    return [
        f"Choose for {place_name(each)}: {choice_name(each)}{_said(each)}" for each in decisions
    ]


def _said(decision: Decision) -> str:
    found = decision.speedup
    if decision.is_blind:
        return " (what to choose by was not measured)"
    if decision.is_refuted:
        return f" ({refuted(decision)})"
    if found is None:
        return "" if decision.arm == PLAIN else " (not measured as a whole)"
    interval = bounds(found.low, found.high)
    gain = f"{decision.objective} {ratio(decision.gain)}; latency " if decision.gain else ""
    return f" ({gain}{times(found.value)}{f', {interval}' if interval else ''})"
