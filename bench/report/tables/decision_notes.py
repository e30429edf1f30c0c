"""Notes on a decision: the rule, what was not measured, why a combination was given up."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.analysis.aim import Aim
from bench.analysis.decision import BEST, Decision
from bench.analysis.estimates import Interval
from bench.records.comparison import DEFAULT_ARM
from bench.report.labels import choice_name, combination_name, level_name, situation_name
from bench.report.tables.certificate import has_bound
from bench.report.units import pays_off, scientific, times, times_within

UNMEASURED = (
    "not measured as a whole; a run by this objective measures it if its --budget has time."
)
_COMPILING = "compiling"
OTHERS = (
    "What was not chosen could gain at most that much of the whole (95 %); "
    "a longer run lowers the bound."
)


def ratio(found: Interval) -> str:
    """A ratio with its interval, if it has one: ``×1.23 (1.20 to 1.26)``."""
    return times_within(found.value, found.low, found.high)


def rule(aim: Aim) -> str:
    """Rule of the choice, in one sentence."""
    how = {
        "latency": "the arm of the largest likely gain of the whole (75 %; a precision by verdict)",
        "throughput": "the arm of highest throughput whose interval lies above the default",
        "memory": "the arm of least memory that saves at least 1 % of the default's",
        "energy": "the arm of least energy that saves at least 5 % of the default's",
    }[aim.objective]
    bound = "its precision's tolerance" if aim.max_error is None else f"{aim.max_error:g}"
    return f"Of each factor {how}, if its error is within {bound}; otherwise the default."


def decision_notes(decisions: Sequence[Decision], aim: Aim, *, brief: bool = False) -> list[str]:
    """Notes on the decisions, each once with its situations; the rule and the bound first.

    ``brief`` leaves out when compiling pays off, which is a note for each situation.
    """
    places: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        for note in _notes(decision, aim):
            if not (brief and note.startswith(_COMPILING)):
                places[note].append(decision)
    return [
        rule(aim),
        *([OTHERS] if any(map(has_bound, decisions)) else []),
        *(f"{_names(where)}: {note}" for note, where in places.items()),
    ]


def _names(where: Sequence[Decision]) -> str:
    """Names of the situations, with the level where only the best at full precision is meant."""
    best = [each.situation for each in where if each.level == BEST]
    found = [each for each in where if each.level == BEST or each.situation not in best]
    return ", ".join(map(_place, found))


def _place(decision: Decision) -> str:
    """Name of the situation, with the level if it is not the best of all."""
    name = situation_name(decision.situation)
    return name if decision.level == BEST else f"{name} {level_name(decision)}"


def _notes(decision: Decision, aim: Aim) -> Iterator[str]:
    whole, found, expected = decision.combined, decision.measured, decision.expected
    if decision.has_no_data:
        yield f"{aim.objective} was not measured, so nothing can be chosen by it."
        return
    for part in decision.parts:
        if part.unmeasured:
            arms = ", ".join(part.unmeasured)
            yield f"{part.factor}: {aim.objective} of {arms} was not measured."
    if decision.is_refuted:
        yield f"{refuted(decision)}; the default is chosen."
        return
    yield from _unmeasured(decision)
    if decision.differs and found and expected:
        yield (
            f"as a whole {times(found.value)}, expected from parts {times(expected.value)}: the "
            "effects do not simply multiply."
        )
    borrowed = [p for p in decision.parts if p.batch_size != decision.situation.batch_size]
    if borrowed:
        names = " and ".join(part.factor for part in borrowed)
        yield f"{names} chosen by measurements at batch {borrowed[0].batch_size}."
    if whole is not None and whole.break_even_images is not None:
        yield f"{_COMPILING} {pays_off(whole.break_even_images)}."


def _unmeasured(decision: Decision) -> Iterator[str]:
    """Notes on what of a combination was not measured as a whole, or not on all of the model."""
    whole = decision.combined
    if whole is not None and whole.component != "model":
        place = "in parts, inside the model" if whole.is_inside else "on one block"
        yield (
            f"measured {place}; for the model's memory and numeric error, which grows with "
            "depth, run with --component model."
        )
    if (
        whole is not None
        and whole.component == "block"
        and not whole.is_inside
        and decision.arm.patcher != DEFAULT_ARM.patcher
    ):
        yield "the patcher was measured alone: a block has none."
    if whole is None and decision.arm != DEFAULT_ARM:
        is_patcher = decision.arm.as_part("block") == DEFAULT_ARM
        yield UNMEASURED if not is_patcher else "only the patcher differs, as it was measured."
    if whole is not None and whole.error:
        yield f"as a whole {choice_name(decision)} is {whole.status}: {whole.error}"


def refuted(decision: Decision) -> str:
    """Why the combination of the chosen parts is not chosen."""
    whole, found = decision.combined, decision.gain or decision.measured
    name = combination_name(decision.combination)
    if whole is None or whole.status != "ok":
        return f"as a whole {name} is {whole.status}: {whole.error}" if whole else ""
    if decision.errs:
        error = scientific(whole.output_error)
        reason = f"has an error of {error}, more than allowed" if error else "has an unknown error"
        return f"as a whole {name} {reason}"
    reason = f"{decision.objective} {ratio(found)}" if found else "no speed-up"
    return f"as a whole {name} is not better ({reason})"
