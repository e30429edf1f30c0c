"""Schedule the next pass, as a function of the plan and the samples so far.

A killed run therefore resumes as if it had not been killed. A run that chooses compares precisions
in its first pass and the rest in later ones. Every comparison is measured in each of its planned
passes, unless it is decided beyond doubt; further passes go to the widest intervals, or to what
could still gain most of the whole, until that is small or the time is spent.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.records.comparison import CHOICE, Arm, Comparison, Workload
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.runs.levels import first_pass
from bench.suite.grid import shuffled

# Seconds for tables and plots at the end.
REPORT_S = 8.0
# Share of a run's time for the planned passes, if further ones may follow.
_BASE_SHARE = 0.8
# Share for the pass that compares precisions, before everything else.
_PRECISION_SHARE = 0.12
# Shares for the survey and for the chosen combinations.
_SURVEY_SHARE = 0.07
_CHOICE_SHARE = 0.1
# Target seconds of a further pass: short ones start too many processes, long ones adapt too late.
_FURTHER_PASS_S = 100.0
# Minimum pairs and seconds of a comparison in a further pass.
_LEAST_PAIRS = 10
_LEAST_S = 1.0
# Those of a combination that has not been measured, mostly for compiling it.
_FIRST_S = 12.0
# Bounds of a comparison's weight, which grows with the square of its urgency.
_WEIGHTS = (0.3, 3.0)


@dataclass(frozen=True, kw_only=True)
class NextPass:
    """The next pass: its number, its comparisons in order, its seconds, and their weights."""

    index: int
    comparisons: tuple[Comparison, ...]
    seconds: float
    weights: dict[str, float]


def next_pass(
    plan: Plan,
    samples: Sequence[Sample],
    urgency: Mapping[str, float],
    spent: float,
    startup_s: float,
    settled: Collection[str] = (),
) -> NextPass | None:
    """Return the next pass, or None if the passes are complete.

    ``urgency`` says by key how much a comparison needs further passes (at most 1 is enough),
    ``settled`` are the candidates decided beyond doubt, ``spent`` is the time used so far and
    ``startup_s`` the start of a process, both in seconds.
    """
    for index, left in planned_left(plan, samples, settled):
        return _planned(plan, index, left, urgency, spent)
    retryable = _retryable(plan, plan.comparisons, samples)
    return _further(plan, retryable, samples, urgency, plan.budget_s - REPORT_S - spent, startup_s)


def planned_left(
    plan: Plan, samples: Sequence[Sample], settled: Collection[str] = ()
) -> Iterator[tuple[int, list[Comparison]]]:
    """Yield the number and the remaining comparisons of each incomplete planned pass.

    A candidate that is decided beyond doubt is not measured again, nor is a control without others.
    """
    measured = {(each.key, each.pass_index) for each in samples}
    known = {each.key for each in samples if each.arm_s}
    open_ = [c for c in plan.comparisons if c.key not in settled or c.key not in known]
    for index in range(max(plan.passes + plan.precision_first, plan.choice_passes)):
        before = [each for each in samples if each.pass_index < index]
        rest = [each for each in open_ if index in _passes_of(plan, each)]
        retryable = _retryable(plan, rest, before)
        if left := [each for each in retryable if (each.key, index) not in measured]:
            yield index, left


def _passes_of(plan: Plan, comparison: Comparison) -> range:
    """Return the numbers of the planned passes that measure a comparison."""
    if comparison.factor == CHOICE:
        # Inside a model it takes its turns beside the parts of further passes.
        return range(0 if comparison.is_inside else plan.choice_passes)
    first = first_pass(plan, comparison)
    return range(first, first + plan.passes)


def _retryable(
    plan: Plan, comparisons: Sequence[Comparison], samples: Sequence[Sample]
) -> list[Comparison]:
    """Return the comparisons worth another pass; controls only together with a candidate.

    A comparison that cannot run here, raises or had no time would do so again. A process that died
    may have died for another reason, so its comparison is retried. Controls that have no candidate
    in the plan, such as those of a calibration, are kept.
    """
    tried = [each for each in samples if each.status != "ok"]
    exhausted = {each.key for each in tried if each.status != "crashed" or not each.died}
    candidates = [each for each in comparisons if not each.is_control]
    alone = {_pairing(each) for each in plan.comparisons if not each.is_control}
    alone -= {_pairing(each) for each in candidates if each.key not in exhausted}
    return [
        each
        for each in comparisons
        if each.key not in exhausted and not (each.is_control and _pairing(each) in alone)
    ]


def _pairing(comparison: Comparison) -> tuple[str, Workload, Arm]:
    """Return the fields that a control and its candidates share."""
    return comparison.factor, comparison.workload, comparison.baseline


def _planned(
    plan: Plan,
    index: int,
    left: Sequence[Comparison],
    urgency: Mapping[str, float],
    spent: float,
) -> NextPass:
    if all(each.factor == CHOICE for each in left):
        seconds = _CHOICE_SHARE * plan.budget_s / plan.choice_passes
        return _pass(plan, index, left, urgency, seconds)
    share = _BASE_SHARE if plan.precision or plan.choose else 1.0
    share -= _SURVEY_SHARE * plan.survey + _CHOICE_SHARE * plan.choose
    staged = plan.precision_first
    first = _PRECISION_SHARE if staged else 0.0
    done = (index + 1 - staged) / plan.passes
    until = (first + (share - first) * done) * (plan.budget_s - REPORT_S)
    return _pass(plan, index, left, urgency, max(until - spent, 0.0))


def _further(
    plan: Plan,
    retryable: Sequence[Comparison],
    samples: Sequence[Sample],
    urgency: Mapping[str, float],
    left_s: float,
    startup_s: float,
) -> NextPass | None:
    """Return a pass for the widest intervals that get a useful time each."""
    if plan.each_s or not urgency:
        return None
    wide = [each for each in retryable if urgency.get(each.key, 0.0) > 1.0]
    seconds = left_s / max(round(left_s / _FURTHER_PASS_S), 1)
    chosen, room_s = [], seconds - startup_s
    for comparison in sorted(wide, key=lambda each: -urgency[each.key]):
        need_s = _least_s([each for each in samples if each.key == comparison.key])
        if need_s <= room_s:
            chosen.append(comparison)
            room_s -= need_s
    if not chosen:
        return None
    return _pass(plan, 1 + max(each.pass_index for each in samples), chosen, urgency, seconds)


def _least_s(samples: Sequence[Sample]) -> float:
    """Estimate the minimum seconds of a comparison from its earlier passes, if it has any."""
    measured = [each for each in samples if each.arm_s]
    if not measured:
        return _FIRST_S
    pair_s = median(each.measure_s / len(each.arm_s) for each in measured)
    return fmean(each.prepare_s for each in measured) + max(_LEAST_S, _LEAST_PAIRS * pair_s)


def _pass(
    plan: Plan,
    index: int,
    chosen: Sequence[Comparison],
    urgency: Mapping[str, float],
    seconds: float,
) -> NextPass:
    return NextPass(
        index=index,
        comparisons=tuple(shuffled(chosen, plan.seed + index)),
        seconds=seconds,
        weights={each.key: _weight(plan, each.key, urgency) for each in chosen},
    )


def _weight(plan: Plan, key: str, urgency: Mapping[str, float]) -> float:
    """Return the weight of a comparison's work, by its plan and its urgency."""
    weight = plan.weights.get(key, 1.0)
    if key not in urgency:
        return weight
    low, high = _WEIGHTS
    return weight * min(max(urgency[key] ** 2, low), high)
