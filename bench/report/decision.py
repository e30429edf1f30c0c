"""What to choose, as a table, as Markdown and in a line: records in, text out."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from rich.table import Table
from rich.text import Text

from bench.analysis.decision import Aim, Decision
from bench.analysis.intervals import Interval
from bench.record import PLAIN
from bench.report.tables import new_table, verdict
from bench.report.units import bounds, escaped, images, memory, scientific, times

_USUAL_PIXELS = 224
_PLAIN_LEVELS = f"{PLAIN.patcher}, {PLAIN.attention}, {PLAIN.compile}, {PLAIN.precision}"
HEADINGS = (
    "workload",
    "choose",
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
# What a narrow terminal does without.
_SPARED = ("by its parts", "verdict", "by plain")
UNMEASURED = (
    "not measured as a whole; a run by this objective does where its --budget has time for it."
)


def place_name(decision: Decision) -> str:
    """Short name of a situation: ``B/16 b8 forward``, with its device where that is no CPU."""
    place = decision.situation
    name = f"{place.variant} b{place.batch_size} {place.mode}"
    if place.image_size not in (None, _USUAL_PIXELS):
        name += f" {place.image_size}px"
    return name if place.device == "cpu" else f"{name} {place.device}"


def choice_name(decision: Decision) -> str:
    """What to choose: ``linear + sdpa + bf16``, or ``plain``; ``unknown`` where nobody knows."""
    if decision.is_blind:
        return "unknown"
    return decision.arm.choice.replace("+", " + ")


def undecided(decision: Decision) -> str:
    """The arms that were not chosen and may be better, by factor."""
    parts = [part for part in decision.parts if part.rivals]
    return "; ".join(f"{part.factor}: {', '.join(part.rivals)}" for part in parts)


def cells(decision: Decision, *, brief: bool = False) -> tuple[str, ...]:
    """A decision's cells, under HEADINGS; the workload says on which component it was measured.

    In ``brief`` what its parts let expect has no interval.
    """
    whole, found, expected = decision.whole, decision.speedup, decision.expected
    if decision.is_refuted:
        # What it was stands in the notes: it is not what to choose.
        whole = found = expected = None
    on = f" ({whole.component})" if whole else ""
    ratio = whole.memory_ratio if whole else None
    return (
        place_name(decision) + on,
        choice_name(decision),
        times(found.value) if found else "",
        bounds(found.low, found.high) if found else "",
        _ratio(expected, brief=brief) if expected and not decision.is_blind else "",
        verdict(whole) if whole else "",
        memory(whole.allocated_bytes) if whole else "",
        times(ratio),
        scientific(whole.output_error) if whole else "",
        undecided(decision),
    )


def _ratio(found: Interval, *, brief: bool = False) -> str:
    """A ratio with its interval, where it has one: ``×1.23 (1.20 to 1.26)``."""
    said = "" if brief else bounds(found.low, found.high)
    return f"{times(found.value)} ({said})" if said else times(found.value)


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
                "" if is_plain else _ratio(part.gain),
                f"{part.component} b{part.batch_size}",
                ", ".join(part.rivals),
            )


def title(aim: Aim) -> str:
    """What the choice is by, and against what."""
    bound = f", errors up to {aim.max_error:g}" if aim.max_error is not None else ""
    return f"What to choose by {aim.objective}{bound}, against plain ({_PLAIN_LEVELS})"


def decision_table(decisions: Sequence[Decision], aim: Aim, *, narrow: bool = False) -> Table:
    """Rich table of a run's decisions; what may be better is left to ``open_lines``."""
    table = new_table(title(aim), narrow=narrow)
    rows = [cells(each, brief=True) for each in decisions]
    spared = {HEADINGS[_OPEN], *(_SPARED if narrow else ())}
    shown = [
        place
        for place, heading in enumerate(HEADINGS)
        if any(row[place] for row in rows) and heading not in spared
    ]
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


def decision_markdown(decisions: Sequence[Decision], aim: Aim) -> list[str]:
    """The same as lines of Markdown, with what to know of it; nothing without decisions."""
    if not decisions:
        return []
    marks = ["---" if heading in _WORDS else "---:" for heading in HEADINGS]
    return [
        f"**{title(aim)}**, on {escaped(decisions[0].situation.device_name)}:",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(map(escaped, cells(each)))} |" for each in decisions),
        "",
        *(f"- {escaped(line)}" for line in decision_notes(decisions, aim)),
        "",
    ]


def rule(aim: Aim) -> str:
    """How the choice was made, in one sentence."""
    how = {
        "latency": "the fastest of the arms called faster than the plain one",
        "throughput": "the arm of most throughput whose interval lies above the plain one",
        "memory": "the arm of least memory, where that is at least 1 % less than the plain one's",
        "energy": "the arm of least energy, where that is at least 5 % less than the plain one's",
    }[aim.objective]
    bound = "its precision's tolerance" if aim.max_error is None else f"{aim.max_error:g}"
    return f"Of each factor {how}, if its error is within {bound}; else the plain one."


def decision_notes(decisions: Sequence[Decision], aim: Aim) -> list[str]:
    """What to know of the decisions: the rule, what was not measured, what did not add up."""
    places: dict[str, list[str]] = defaultdict(list)
    for decision in decisions:
        for note in _notes(decision, aim):
            places[note].append(place_name(decision))
    return [rule(aim), *(f"{', '.join(where)}: {note}" for note, where in places.items())]


def _notes(decision: Decision, aim: Aim) -> Iterator[str]:
    whole, found, expected = decision.whole, decision.speedup, decision.expected
    if decision.is_blind:
        yield f"no {aim.objective} was measured, so nothing can be chosen by it."
        return
    for part in decision.parts:
        if part.silent:
            yield f"{part.factor}: no {aim.objective} known of {', '.join(part.silent)}."
    if decision.is_refuted:
        yield f"{_refuted(decision)}; the plain arm is chosen."
        return
    yield from _unmeasured(decision)
    if decision.differs and found and expected:
        yield (
            f"as a whole {times(found.value)}, by its parts {times(expected.value)}: their effects "
            "do not simply multiply."
        )
    borrowed = [p for p in decision.parts if p.batch_size != decision.situation.batch_size]
    if borrowed:
        names = " and ".join(part.factor for part in borrowed)
        yield f"{names} judged by what was measured at batch {borrowed[0].batch_size}."
    if whole is not None and whole.break_even_images is not None:
        yield f"compiling pays off after {images(whole.break_even_images)} images."


def _unmeasured(decision: Decision) -> Iterator[str]:
    """What of a combination was not measured as a whole."""
    whole = decision.whole
    if whole is not None and whole.component == "block" and decision.arm.patcher != PLAIN.patcher:
        yield "the patcher is judged alone: a block, measured as the whole, has none."
    if whole is None and decision.arm != PLAIN:
        is_patcher = decision.arm.as_part("block") == PLAIN
        yield UNMEASURED if not is_patcher else "the patcher alone is chosen, as it was measured."
    if whole is not None and whole.error:
        yield f"as a whole {choice_name(decision)} is {whole.status}: {whole.error}"


def _refuted(decision: Decision) -> str:
    """Why a combination that its parts let choose is not chosen."""
    whole, found = decision.whole, decision.speedup
    name = decision.combination.choice.replace("+", " + ")
    if whole is None or whole.status != "ok":
        return f"as a whole {name} is {whole.status}: {whole.error}" if whole else ""
    said = f"{times(found.value)}, {bounds(found.low, found.high)}" if found else "no speed-up"
    return f"as a whole {name} is not better ({said}; error {scientific(whole.output_error)})"


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
        return f" ({_refuted(decision)})"
    if found is None:
        return "" if decision.arm == PLAIN else " (not measured as a whole)"
    interval = bounds(found.low, found.high)
    return f" ({times(found.value)}{f', {interval}' if interval else ''})"
