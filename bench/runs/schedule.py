"""Which pass comes next: a function of the plan and of what was measured so far.

So a run that was killed goes on as if it had not been. Every comparison is measured in each of the
plan's passes; further passes go to those whose intervals are widest, until each is as narrow as was
asked for or the time is spent. They stop by width, never by a verdict: to go on until something
looks faster would make false verdicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.records.comparison import CHOICE, Arm, Comparison, Sample, Workload
from bench.records.plan import Plan
from bench.suite.grid import shuffled

# Tables and plots at the end.
REPORT_S = 8.0
# The planned passes get this much of a run's time where further ones may follow.
_BASE_SHARE = 0.75
# And after them the survey, and what was chosen, so much.
_SURVEY_SHARE = 0.15
_CHOICE_SHARE = 0.12
# Further passes last about so long: short ones start too many processes, long ones adapt too late.
_FURTHER_PASS_S = 45.0
# A comparison is not taken into a further pass for fewer pairs, or for less time.
_LEAST_PAIRS = 10
_LEAST_S = 1.0
# A comparison's share of the time grows with the square of its width, within these bounds.
_WEIGHTS = (0.3, 3.0)


@dataclass(frozen=True, kw_only=True)
class NextPass:
    """The pass to run next: its number, its comparisons in order, how long it may take."""

    index: int
    comparisons: tuple[Comparison, ...]
    seconds: float
    weights: dict[str, float]


def next_pass(
    plan: Plan,
    samples: Sequence[Sample],
    widths: Mapping[str, float],
    spent: float,
    startup_s: float,
) -> NextPass | None:
    """The pass to run next, or None where the run is complete.

    ``widths`` are the half-widths of the intervals by comparison, ``spent`` the seconds used so
    far, ``startup_s`` what a process takes before it measures.
    """
    for index, left in planned_left(plan, samples):
        return _planned(plan, index, left, widths, spent)
    hopeful = _hopeful(plan.comparisons, samples)
    return _further(plan, hopeful, samples, widths, plan.budget_s - REPORT_S - spent, startup_s)


def planned_left(plan: Plan, samples: Sequence[Sample]) -> Iterator[tuple[int, list[Comparison]]]:
    """The planned passes that are not complete, each with what it has still to measure."""
    measured = {(each.key, each.pass_index) for each in samples}
    for index in range(plan.passes):
        before = [each for each in samples if each.pass_index < index]
        rest = plan.comparisons if index < plan.choice_passes else plan.measured_first
        hopeful = _hopeful(rest, before)
        if left := [each for each in hopeful if (each.key, index) not in measured]:
            yield index, left


def _hopeful(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> list[Comparison]:
    """Those of which a further pass may tell more; controls only beside a candidate.

    A pass more tells nothing new of what cannot run here, raises or had no time. A process that
    died is another matter: that may have been another's fault.
    """
    tried = [each for each in samples if each.status != "ok"]
    hopeless = {each.key for each in tried if each.status != "crashed" or not each.died}
    candidates = [each for each in comparisons if not each.is_control]
    alone = {_duel(each) for each in candidates}
    alone -= {_duel(each) for each in candidates if each.key not in hopeless}
    return [
        each
        for each in comparisons
        if each.key not in hopeless and not (each.is_control and _duel(each) in alone)
    ]


def _duel(comparison: Comparison) -> tuple[str, Workload, Arm]:
    """What a control and its candidates have in common."""
    return comparison.factor, comparison.workload, comparison.baseline


def _planned(
    plan: Plan,
    index: int,
    left: Sequence[Comparison],
    widths: Mapping[str, float],
    spent: float,
) -> NextPass:
    if all(each.factor == CHOICE for each in left):
        seconds = _CHOICE_SHARE * plan.budget_s / plan.choice_passes
        return _pass(plan, index, left, widths, seconds)
    share = _BASE_SHARE if plan.precision else 1.0
    share -= _SURVEY_SHARE * plan.survey + _CHOICE_SHARE * plan.choose
    until = share * (plan.budget_s - REPORT_S) * (index + 1) / plan.passes
    return _pass(plan, index, left, widths, max(until - spent, 0.0))


def _further(
    plan: Plan,
    hopeful: Sequence[Comparison],
    samples: Sequence[Sample],
    widths: Mapping[str, float],
    left_s: float,
    startup_s: float,
) -> NextPass | None:
    """A pass for the widest intervals, as many as get a useful time each."""
    if not plan.precision or plan.each_s:
        return None
    wide = [each for each in hopeful if widths.get(each.key, 0.0) > plan.precision]
    seconds = left_s / max(round(left_s / _FURTHER_PASS_S), 1)
    chosen, room_s = [], seconds - startup_s
    for comparison in sorted(wide, key=lambda each: -widths[each.key]):
        need_s = _least_s([each for each in samples if each.key == comparison.key])
        if need_s <= room_s:
            chosen.append(comparison)
            room_s -= need_s
    if not chosen:
        return None
    return _pass(plan, 1 + max(each.pass_index for each in samples), chosen, widths, seconds)


def _least_s(samples: Sequence[Sample]) -> float:
    """Seconds that a comparison takes at least, by what it took before."""
    measured = [each for each in samples if each.arm_s]
    pair_s = median(each.measure_s / len(each.arm_s) for each in measured)
    return fmean(each.prepare_s for each in measured) + max(_LEAST_S, _LEAST_PAIRS * pair_s)


def _pass(
    plan: Plan,
    index: int,
    chosen: Sequence[Comparison],
    widths: Mapping[str, float],
    seconds: float,
) -> NextPass:
    return NextPass(
        index=index,
        comparisons=tuple(shuffled(chosen, plan.seed + index)),
        seconds=seconds,
        weights={each.key: _weight(plan, each.key, widths) for each in chosen},
    )


def _weight(plan: Plan, key: str, widths: Mapping[str, float]) -> float:
    """The share of time beside one of equal work: as many pairs as the width asks for."""
    weight = plan.weights.get(key, 1.0)
    if not plan.precision or key not in widths:
        return weight
    low, high = _WEIGHTS
    return weight * min(max((widths[key] / plan.precision) ** 2, low), high)
