"""The precision at which a run compares everything else: the fastest that its rows allow.

A part matters by what it changes of the model as it will be run, and matrix products in half the
time double the weight of everything else. So precision is measured first; attention, patcher and
compilation are then compared at full precision and at the one that was chosen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.analysis.aim import Aim, Situation, situation, situation_of
from bench.analysis.decision import Decision
from bench.records.comparison import DEFAULT_ARM, Comparison
from bench.records.plan import Choice, Plan
from bench.records.row import Record

PRECISION = "precision"
# Factors that are compared at the chosen precision, too.
REPEATED = ("patcher", "attention", "compile", "checkpoint", "optimizer")
# The least speed-up of a precision that is worth measuring everything else at it.
LEAST_SPEEDUP = 1.05


def is_staged(comparisons: Iterable[Comparison]) -> bool:
    """Return whether these are precisions, and others to compare at the one chosen."""
    factors = {each.factor for each in comparisons}
    return PRECISION in factors and bool(factors & {*REPEATED})


def first_pass(plan: Plan, comparison: Comparison) -> int:
    """Return the number of the first pass that measures a comparison."""
    return int(plan.precision_first and comparison.factor in REPEATED)


def wanted_levels(plan: Plan, records: Sequence[Record], aim: Aim) -> Choice | None:
    """Return the comparisons at the chosen precision of each situation that the plan lacks."""
    known = {each.key for each in plan.comparisons}
    chosen = precisions(records, aim)
    have = {
        (situation_of(each.workload), each.baseline.precision != DEFAULT_ARM.precision)
        for each in plan.comparisons
        if each.factor in REPEATED
    }
    found = [
        at_precision(each, chosen[situation_of(each.workload)])
        for each in plan.comparisons
        if each.factor in REPEATED
        and each.baseline.precision == DEFAULT_ARM.precision
        and situation_of(each.workload) in chosen
        and (situation_of(each.workload), True) not in have
    ]
    left = tuple(each for each in found if each.key not in known)
    return Choice(comparisons=left, passes=plan.passes) if left else None


def at_precision(comparison: Comparison, precision: str) -> Comparison:
    """Return a comparison with both arms at a precision."""
    return replace(
        comparison,
        baseline=replace(comparison.baseline, precision=precision),
        arm=replace(comparison.arm, precision=precision),
    )


def precisions(records: Iterable[Record], aim: Aim) -> dict[Situation, str]:
    """Return the precision chosen for each situation in which one is faster than full precision."""
    best: dict[Situation, Record] = {}
    for record in records:
        if record.factor != PRECISION or record.is_control or not aim.admits(record):
            continue
        if record.speedup is None or record.speedup < LEAST_SPEEDUP:
            continue
        before = best.get(situation(record))
        if before is None or (before.speedup or 0.0) < record.speedup:
            best[situation(record)] = record
    return {place: record.arm for place, record in best.items()}


def serves(comparison: Comparison, decision: Decision) -> bool:
    """Return whether a comparison's row is one that a decision is made by."""
    if situation_of(comparison.workload) != decision.situation:
        return False
    precision = decision.combination.precision
    return comparison.factor == PRECISION or comparison.baseline.precision == precision
