"""How far runs agree: a table of their choices, and lines on intervals and verdicts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from bench.analysis.run_agreement import (
    BEYOND,
    OPEN,
    SAME,
    UNKNOWN,
    WITHIN,
    ChoicePair,
    Coverage,
    RunAgreement,
)
from bench.records.comparison import Arm
from bench.report.columns import Column, used, words
from bench.report.labels import (
    combination_name,
    factor_name,
    level_name,
    situation_name,
    workload,
)
from bench.report.provenance import revision
from bench.report.report_data import AgreementData
from bench.report.tables.layout import NARROW_COLUMNS, add_columns, markdown_table, new_table
from bench.report.units import bound, counted, escaped, of_whole, percent

TITLE = "How far runs agree on what to choose"
# From the best outcome to the worst.
_ORDER = (SAME, WITHIN, OPEN, UNKNOWN, BEYOND)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The choices of every run in one situation at one level, and those two that differ most."""

    arms: tuple[Arm | None, ...]
    worst: ChoicePair


def agreement_tables(data: AgreementData, width: int) -> list[RenderableType]:
    """Return the table and its lines for a terminal of this width."""
    lines = _lines(data)
    narrow = width < NARROW_COLUMNS
    columns = used(_columns(data), lines)
    table = new_table(TITLE, narrow=narrow)
    add_columns(table, columns, lines)
    for line in lines:
        table.add_row(*(Text(column.text(line)) for column in columns))
    return [*([table] if lines else []), *map(Text, _sentences(data))]


def agreement_markdown(data: AgreementData) -> str:
    """Return the table and its lines as Markdown."""
    lines = _lines(data)
    table = [*markdown_table(used(_columns(data), lines), lines), ""] if lines else []
    notes = [f"- {escaped(each)}" for each in _sentences(data)]
    return "\n".join([f"**{TITLE}**:", "", *table, *notes])


def _lines(data: AgreementData) -> list[_Line]:
    """One line for each situation and level that every run has."""
    by_pair = {
        runs: {(each.situation, each.level): each for each in found.choices}
        for runs, found in data.pairs.items()
    }
    places = [each for each in by_pair[0, 1] if all(each in own for own in by_pair.values())]
    return [
        _Line(
            arms=(
                by_pair[0, 1][place].arms[0],
                *(by_pair[0, run][place].arms[1] for run in range(1, len(data.runs))),
            ),
            worst=max((own[place] for own in by_pair.values()), key=_badness),
        )
        for place in places
    ]


def _badness(pair: ChoicePair) -> tuple[int, float]:
    return _ORDER.index(pair.outcome), pair.bound or 0.0


def _columns(data: AgreementData) -> list[Column[_Line]]:
    return [
        words("workload", lambda line: situation_name(line.worst.situation)),
        words("best", lambda line: level_name(line.worst)),
        *(words(_run(place), _choice_of(place)) for place in range(len(data.runs))),
        words("of the whole", lambda line: difference_text(line.worst)),
        words("outcome", lambda line: _outcome_names(data.delta)[line.worst.outcome]),
    ]


def _choice_of(place: int) -> Callable[[_Line], str]:
    def text(line: _Line) -> str:
        arm = line.arms[place]
        return UNKNOWN if arm is None else combination_name(arm)

    return text


def difference_text(pair: ChoicePair) -> str:
    """What two choices that differ differ by, and at most; '' for the same, or if unknown."""
    if pair.is_same or pair.difference is None:
        return ""
    most = bound(pair.bound)
    return f"{of_whole(pair.difference, pair.bound).removeprefix('+')}, at most {most}"


def _outcome_names(delta: float) -> dict[str, str]:
    """The outcomes in words, one by one."""
    share = bound(delta)
    return {
        SAME: "same",
        WITHIN: f"less than {share} apart",
        OPEN: f"perhaps more than {share} apart",
        BEYOND: f"more than {share} apart",
        UNKNOWN: UNKNOWN,
    }


def _run(place: int) -> str:
    return f"run {place + 1}"


def _sentences(data: AgreementData) -> Iterator[str]:
    """Yield the agreement of each pair, the runs, and what else differs between them."""
    for (first, second), found in data.pairs.items():
        names = (_run(first), _run(second))
        start = f"{names[0]} and {names[1]}: " if len(data.pairs) > 1 else ""
        sentences = (_choices(found, data.delta), _intervals(found, names), _verdicts(found))
        yield from (start + each for each in sentences if each)
    for place, each in enumerate(data.runs):
        commit = revision(each.commit, has_changes=each.has_changes, prefix="commit ")
        yield f"{_run(place)}: {each.folder}, {commit}, {each.started}"
    yield from (f"Warning: {each}." for each in data.warnings)


def _choices(found: RunAgreement, delta: float) -> str:
    counts = {name: sum(c.outcome == name for c in found.choices) for name in _ORDER}
    names = _outcome_names(delta)
    shown = ", ".join(f"{count} {names[name]}" for name, count in counts.items() if count)
    total = len(found.choices)
    text = (
        f"Choices: {found.agreed} of {total} agree ({shown})" if total else "Choices: none in both"
    )
    once = f"; {counted(found.only_once, 'situation')} in one run only" if found.only_once else ""
    return f"{text}{once}."


def _intervals(found: RunAgreement, names: tuple[str, str]) -> str:
    if not found.coverages[0].rows:
        return "Intervals: no candidate has one in both runs."
    here, there = (
        _held(each, *order)
        for each, order in zip(found.coverages, (names, names[::-1]), strict=True)
    )
    rows = counted(found.coverages[0].rows, "candidate")
    return f"95 % intervals of {rows}: {here}; {there}."


def _held(found: Coverage, own: str, other: str) -> str:
    shares = [percent(count / found.rows) for count in (found.held, found.expected)]
    return f"{found.held} of {own} hold the estimate of {other} ({shares[0]}, expected {shares[1]})"


def _verdicts(found: RunAgreement) -> str:
    rows = found.coverages[0].rows
    if not rows:
        return ""
    text = f"Verdicts: {len(found.opposite)} of {rows} contradict each other"
    named = ", ".join(
        f"{factor_name(one)} {workload(one)} {one.arm} ({one.verdict}, {other.verdict})"
        for one, other in found.opposite
    )
    return f"{text}: {named}." if named else f"{text}."
