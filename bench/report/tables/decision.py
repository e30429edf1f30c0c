"""What to choose, as a table, as Markdown and as lines of text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from bench.analysis.decision import Aim, Decision
from bench.analysis.estimates import Interval
from bench.analysis.gains import Part
from bench.records.comparison import DEFAULT_ARM
from bench.records.row import Record
from bench.report.columns import ROW_COLUMNS, Column, used, words
from bench.report.labels import DEFAULT_ARM_TEXT, choice_name, situation_name
from bench.report.tables.decision_notes import decision_notes, ratio, refuted
from bench.report.tables.layout import add_columns, markdown_table, new_table
from bench.report.units import bounds, escaped, times

# A decision and one of the factors that it combines.
DecisionPart = tuple[Decision, Part]
# Left out on a narrow terminal.
_SPARED = ("expected from parts", "verdict", "vs default")
_CONTENDERS = "contenders"


def contenders(decision: Decision) -> str:
    """Arms that were not chosen and may be better, by factor."""
    parts = [part for part in decision.parts if part.contenders]
    return "; ".join(f"{part.factor}: {', '.join(part.contenders)}" for part in parts)


def _chosen_whole(decision: Decision) -> Record | None:
    """Row of the combination, if that is what to choose; the notes say why another is not."""
    return None if decision.is_refuted else decision.combined


def _workload(decision: Decision) -> str:
    whole = _chosen_whole(decision)
    return situation_name(decision.situation) + (f" ({whole.component})" if whole else "")


def _gain(decision: Decision) -> Interval | None:
    return None if decision.is_refuted else decision.gain


def _expected(decision: Decision) -> Interval | None:
    is_default = decision.has_no_data or decision.combination == DEFAULT_ARM
    return None if decision.is_refuted or is_default else decision.expected


def _of_whole(heading: str, column: Column[Record]) -> Column[Decision]:
    """The column of a row, for the row of the combination."""

    def text(decision: Decision) -> str:
        whole = _chosen_whole(decision)
        return column.text(whole) if whole else ""

    return Column(heading=heading, text=text, is_words=column.is_words)


def _ratio(heading: str, found: Callable[[Decision], Interval | None]) -> Column[Decision]:
    """A column of ratios with their intervals."""

    def text(decision: Decision) -> str:
        interval = found(decision)
        return times(interval.value) if interval else ""

    def detail(decision: Decision) -> str:
        interval = found(decision)
        return bounds(interval.low, interval.high) if interval else ""

    return Column(heading=heading, text=text, detail=detail)


_COLUMNS: tuple[Column[Decision], ...] = (
    words("workload", _workload),
    words("choose", choice_name),
    _ratio("gain", _gain),
    _of_whole("speed-up", ROW_COLUMNS["speed-up"]),
    _of_whole("95 % interval", ROW_COLUMNS["95 % interval"]),
    _ratio("expected from parts", _expected),
    _of_whole("verdict", ROW_COLUMNS["verdict"]),
    _of_whole("memory", ROW_COLUMNS["memory"]),
    _of_whole("vs default", ROW_COLUMNS["vs baseline"]),
    _of_whole("numeric error", ROW_COLUMNS["numeric error"]),
    words(_CONTENDERS, contenders),
)
DECISION_COLUMNS = {column.heading: column for column in _COLUMNS}


def _detailed(heading: str, detail: str) -> Column[Decision]:
    return replace(DECISION_COLUMNS[heading], detail=DECISION_COLUMNS[detail].text)


# The columns that decide. An arm that is chosen by latency has the verdict faster.
BRIEF_COLUMNS = (
    DECISION_COLUMNS["workload"],
    DECISION_COLUMNS["choose"],
    DECISION_COLUMNS["gain"],
    _detailed("speed-up", "95 % interval"),
    _detailed("memory", "vs default"),
    DECISION_COLUMNS["numeric error"],
)


def _part_gain(chosen: DecisionPart) -> str:
    """Gain over the factor's default level; the default itself has none."""
    part = chosen[1]
    return "" if part.level == DEFAULT_ARM.level(part.factor) else ratio(part.gain)


PART_COLUMNS: tuple[Column[DecisionPart], ...] = (
    words("workload", lambda chosen: situation_name(chosen[0].situation)),
    words("factor", lambda chosen: chosen[1].factor),
    words("level", lambda chosen: chosen[1].level),
    Column(heading="gain", text=_part_gain),
    words("measured on", lambda chosen: f"{chosen[1].component} b{chosen[1].batch_size}"),
    words(_CONTENDERS, lambda chosen: ", ".join(chosen[1].contenders)),
)


def decision_parts(decisions: Iterable[Decision]) -> list[DecisionPart]:
    """Each decision with each of its factors, for PART_COLUMNS."""
    return [(decision, part) for decision in decisions for part in decision.parts]


def title(aim: Aim) -> str:
    """Objective and bound of the choice, and the arm that it is compared with."""
    bound = f", errors up to {aim.max_error:g}" if aim.max_error is not None else ""
    return f"What to choose by {aim.objective}{bound}, against the {DEFAULT_ARM_TEXT}"


def decision_table(decisions: Sequence[Decision], aim: Aim, *, narrow: bool = False) -> Table:
    """Rich table of a run's decisions; ``contender_lines`` has the contenders."""
    table = new_table(title(aim), narrow=narrow)
    spared = {_CONTENDERS, *(_SPARED if narrow else ())}
    shown = [each for each in used(_COLUMNS, decisions) if each.heading not in spared]
    add_columns(table, shown, decisions)
    for decision in decisions:
        table.add_row(*(Text(column.text(decision)) for column in shown))
    return table


def contender_lines(decisions: Sequence[Decision]) -> list[str]:
    """A line for each situation with contenders."""
    return [
        f"{situation_name(each.situation)}: undecided contenders: {contenders(each)}."
        for each in decisions
        if contenders(each)
    ]


def decision_markdown(decisions: Sequence[Decision], aim: Aim, *, brief: bool = False) -> list[str]:
    """The decisions as lines of Markdown, with notes below the table; nothing without decisions.

    ``brief`` shows BRIEF_COLUMNS only, without the contenders and the note on them.
    """
    if not decisions:
        return []
    notes = decision_notes(decisions, aim, contenders=not brief)
    return [
        f"**{title(aim)}**, on {escaped(decisions[0].device_name)}:",
        "",
        *markdown_table(used(BRIEF_COLUMNS if brief else _COLUMNS, decisions), decisions),
        "",
        *(f"- {escaped(line)}" for line in notes),
        "",
    ]


def decision_lines(decisions: Sequence[Decision]) -> list[str]:
    """A line for each situation, for the end of a terminal's output."""
    return [f"Choose for {situation_name(each.situation)}: {_choice(each)}" for each in decisions]


def _choice(decision: Decision) -> str:
    """The choice and its speed-up, or why there is none."""
    name, found = choice_name(decision), decision.speedup
    if decision.has_no_data:
        return f"{name} ({decision.objective} was not measured)"
    if decision.is_refuted:
        return f"the {DEFAULT_ARM_TEXT}: {refuted(decision)}"
    if decision.arm == DEFAULT_ARM:
        return f"the {DEFAULT_ARM_TEXT}"
    if found is None:
        return f"{name} (not measured as a whole)"
    interval = bounds(found.low, found.high)
    gain = f"{decision.objective} {ratio(decision.gain)}; latency " if decision.gain else ""
    return f"{name} ({gain}{times(found.value)}{f', {interval}' if interval else ''})"
