"""What to know of a decision, in words: names, rule, what was not measured, what was given up."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.analysis.decision import Aim, Decision
from bench.analysis.estimates import Interval
from bench.records.comparison import PLAIN
from bench.report.units import images, scientific, times, times_within

_USUAL_PIXELS = 224
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


def ratio(found: Interval, *, brief: bool = False) -> str:
    """A ratio with its interval, where it has one: ``×1.23 (1.20 to 1.26)``."""
    return times(found.value) if brief else times_within(found.value, found.low, found.high)


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
        yield f"{refuted(decision)}; the plain arm is chosen."
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
    """What of a combination was not measured as a whole, or not on all of the model."""
    whole = decision.whole
    if whole is not None and whole.component == "block":
        yield (
            "measured on one block: its memory and its numeric error, which grows with depth, are "
            "not the model's, which --component model measures."
        )
    if whole is not None and whole.component == "block" and decision.arm.patcher != PLAIN.patcher:
        yield "the patcher is judged alone: a block, measured as the whole, has none."
    if whole is None and decision.arm != PLAIN:
        is_patcher = decision.arm.as_part("block") == PLAIN
        yield UNMEASURED if not is_patcher else "the patcher alone is chosen, as it was measured."
    if whole is not None and whole.error:
        yield f"as a whole {choice_name(decision)} is {whole.status}: {whole.error}"


def refuted(decision: Decision) -> str:
    """Why a combination that its parts let choose is not chosen."""
    whole, found = decision.whole, decision.gain or decision.speedup
    name = decision.combination.choice.replace("+", " + ")
    if whole is None or whole.status != "ok":
        return f"as a whole {name} is {whole.status}: {whole.error}" if whole else ""
    if decision.errs:
        error = scientific(whole.output_error)
        said = f"errs by {error}, more than is allowed" if error else "has an error nobody knows"
        return f"as a whole {name} {said}"
    said = f"{decision.objective} {ratio(found)}" if found else "no speed-up"
    return f"as a whole {name} is not better ({said})"
