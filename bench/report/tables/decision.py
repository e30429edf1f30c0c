"""What to choose, as a table, as Markdown and as lines of text."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis.aim import Aim
from bench.analysis.decision import BEST, FULL, Decision
from bench.analysis.estimates import Interval
from bench.analysis.gains import WHOLES
from bench.records.comparison import DEFAULT_ARM
from bench.records.row import Record
from bench.report.columns import ROW_COLUMNS, Column, used, words
from bench.report.labels import DEFAULT_ARM_TEXT, choice_name, level_name, situation_name
from bench.report.tables.certificate import cells, has_bound
from bench.report.tables.decision_notes import decision_notes, ratio, refuted
from bench.report.tables.decision_parts import part_table
from bench.report.tables.layout import add_columns, markdown_table, new_table
from bench.report.units import bound, bounds, escaped, times

# Left out on a narrow terminal.
_SPARED = ("expected from parts", "verdict", "vs default")


def _chosen_whole(decision: Decision) -> Record | None:
    """Row of the combination, if that is what to choose; the notes say why another is not."""
    return None if decision.is_refuted else decision.combined


def _workload(decision: Decision) -> str:
    whole = _chosen_whole(decision)
    if whole is None:
        return situation_name(decision.situation)
    place = "in the model" if whole.is_inside else whole.component
    return f"{situation_name(decision.situation)} ({place})"


def _speedup(decision: Decision) -> Interval | None:
    return None if decision.is_refuted else decision.speedup


def _interval(decision: Decision) -> str:
    found = _speedup(decision)
    return bounds(found.low, found.high) if found else ""


def _gain(decision: Decision) -> Interval | None:
    return None if decision.is_refuted else decision.gain


def _expected(decision: Decision) -> Interval | None:
    is_default = decision.has_no_data or decision.combination == DEFAULT_ARM
    return None if decision.is_refuted or is_default else decision.expected


def _others(decision: Decision) -> str:
    """What the arms that were not chosen could gain of the whole."""
    return bound(decision.regret_bound) if has_bound(decision) else ""


def _of_whole(heading: str, column: Column[Record]) -> Column[Decision]:
    """The column of a row, for the row of the combination; empty if that is of one part only."""

    def text(decision: Decision) -> str:
        whole = _chosen_whole(decision)
        return column.text(whole) if whole and whole.component in WHOLES else ""

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
    words("best", level_name),
    words("choose", choice_name),
    _ratio("gain", _gain),
    replace(_ratio("speed-up", _speedup), detail=None),
    Column(heading="95 % interval", text=_interval),
    _ratio("expected from parts", _expected),
    _of_whole("verdict", ROW_COLUMNS["verdict"]),
    _of_whole("memory", ROW_COLUMNS["memory"]),
    _of_whole("vs default", ROW_COLUMNS["vs baseline"]),
    _of_whole("numeric error", ROW_COLUMNS["numeric error"]),
    Column(heading="others at most", text=_others),
)
DECISION_COLUMNS = {column.heading: column for column in _COLUMNS}


def _detailed(heading: str, detail: str) -> Column[Decision]:
    return replace(DECISION_COLUMNS[heading], detail=DECISION_COLUMNS[detail].text)


def _known_speedup(decision: Decision) -> str:
    """The measured speed-up with its interval, or the expected one, which says so."""
    found, expected = _speedup(decision), _expected(decision)
    if found is not None:
        return ratio(found)
    return f"expected {ratio(expected)}" if expected else ""


# The columns that decide, of the best of all. An arm that is chosen by latency is faster.
BRIEF_COLUMNS = (
    DECISION_COLUMNS["workload"],
    DECISION_COLUMNS["choose"],
    DECISION_COLUMNS["gain"],
    Column(heading="speed-up", text=_known_speedup),
    _detailed("memory", "vs default"),
    DECISION_COLUMNS["numeric error"],
    DECISION_COLUMNS["others at most"],
)


def _full_column(decisions: Sequence[Decision]) -> Column[Decision]:
    """A column for the best at full precision beside the best of all."""
    full = {each.situation: each for each in decisions if each.level == FULL}

    def text(best: Decision) -> str:
        found = full.get(best.situation)
        return choice_text(found).removeprefix("the ") if found else ""

    return words(f"best at {DEFAULT_ARM.precision}", text)


def short_title(aim: Aim) -> str:
    """Objective and bound of the choice."""
    most = f", errors up to {aim.max_error:g}" if aim.max_error is not None else ""
    return f"What to choose by {aim.objective}{most}"


def title(aim: Aim) -> str:
    """Objective and bound of the choice, and the arm that it is compared with."""
    return f"{short_title(aim)}, against the {DEFAULT_ARM_TEXT}"


def decision_table(decisions: Sequence[Decision], aim: Aim, *, narrow: bool = False) -> Table:
    """Rich table of a run's decisions."""
    table = new_table(title(aim), narrow=narrow)
    spared = _SPARED if narrow else ()
    shown = [each for each in used(_COLUMNS, decisions) if each.heading not in spared]
    add_columns(table, shown, decisions)
    for decision in decisions:
        table.add_row(*(Text(column.text(decision)) for column in shown))
    return table


def decision_tables(
    decisions: Sequence[Decision], aim: Aim, *, narrow: bool = False
) -> list[RenderableType]:
    """A run's decisions in full: the table, its notes, and how each part was chosen."""
    return [
        decision_table(decisions, aim, narrow=narrow),
        *map(Text, decision_notes(decisions, aim)),
        Text(""),
        part_table(cells(decisions), narrow=narrow),
    ]


def decision_markdown(decisions: Sequence[Decision], aim: Aim, *, brief: bool = False) -> list[str]:
    """The decisions as lines of Markdown, with notes below the table; nothing without decisions.

    ``brief`` shows BRIEF_COLUMNS only, and a line for each situation.
    """
    if not decisions:
        return []
    shown = [each for each in decisions if each.level == BEST] if brief else decisions
    columns = (*BRIEF_COLUMNS, _full_column(decisions)) if brief else _COLUMNS
    notes = decision_notes(shown, aim, brief=brief)
    return [
        f"**{title(aim)}**, on {escaped(decisions[0].device_name)}:",
        "",
        *markdown_table(used(columns, shown), shown),
        "",
        *(f"- {escaped(line)}" for line in notes),
        "",
    ]


def whole_text(decision: Decision) -> str:
    """Speed-up, memory and error of the choice as a whole, as far as they were measured."""
    whole = _chosen_whole(decision)
    if whole is None:
        return refuted(decision).capitalize() if decision.is_refuted else ""
    column = {each.heading: each.text(decision) for each in _COLUMNS}
    found = decision.speedup
    memory = f"{column['memory']} ({column['vs default']})" if column["memory"] else ""
    error = f"numeric error {column['numeric error']}" if column["numeric error"] else ""
    gain = f"{decision.objective} {ratio(decision.gain)}" if decision.gain else ""
    speed = ratio(found) if found else ""
    return "; ".join(filter(None, (gain, speed, memory, error)))


def choice_text(decision: Decision) -> str:
    """The choice and its speed-up, or why there is none."""
    name, found = choice_name(decision), decision.speedup
    if decision.has_no_data:
        return f"{name} ({decision.objective} was not measured)"
    if decision.is_refuted:
        return f"the default: {refuted(decision)}"
    if decision.arm == DEFAULT_ARM:
        return "the default"
    if found is None:
        expected = _expected(decision)
        by_parts = f", {ratio(expected)} expected from its parts" if expected else None
        return f"{name}{by_parts or ' (not measured as a whole)'}"
    gain = f"{decision.objective} {ratio(decision.gain)}, latency " if decision.gain else ""
    return f"{name}, {gain}{ratio(found)}"
