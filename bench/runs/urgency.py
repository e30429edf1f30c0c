"""How much the comparisons of a run that chooses need further passes."""

import math
from collections.abc import Sequence

from bench.analysis.aim import situation_of
from bench.analysis.decision import Decision
from bench.analysis.gains import gains_by_arm
from bench.analysis.rows import Analysis, is_beyond_doubt
from bench.analysis.verdicts import decided
from bench.records.comparison import CHOICE
from bench.records.plan import Plan
from bench.records.row import Record
from bench.runs.levels import serves

# How much a chosen combination needs its first passes inside the model, and how many these are.
_WHOLE_URGENCY, _WHOLE_PASSES = 2.0, 2


def regrets(plan: Plan, analysis: Analysis, decisions: Sequence[Decision]) -> dict[str, float]:
    """Return what each measured arm could gain of the whole over the choice / half of delta.

    By key; at most 1 needs no further pass. The chosen arm has the largest of its rivals' values;
    combinations that are measured inside the model have a fixed one until they have been.
    """
    found = _wholes(plan, analysis, decisions)
    measured = [c for c in plan.comparisons if c.key in analysis.widths]
    for decision in decisions:
        gains = {part.factor: gains_by_arm(part) for part in decision.parts}
        for each in measured:
            gain = gains.get(each.factor, {}).get(each.arm_name)
            if gain is not None and not each.is_control and serves(each, decision):
                found[each.key] = max(gain / (plan.delta / 2), found.get(each.key, 0.0))
    return found


def _wholes(plan: Plan, analysis: Analysis, decisions: Sequence[Decision]) -> dict[str, float]:
    """Return the chosen combinations that lack passes inside the model, and their controls."""
    chosen = [(each.situation, each.combination.as_part("block")) for each in decisions]
    passes = {row.key: row.passes for row in analysis.records}
    return {
        each.key: _WHOLE_URGENCY
        for each in plan.comparisons
        if each.factor == CHOICE
        and each.is_inside
        and (passes[each.key] or 0) < _WHOLE_PASSES
        and (each.is_control or (situation_of(each.workload), each.arm) in chosen)
    }


def settled(plan: Plan, analysis: Analysis) -> frozenset[str]:
    """Return the keys of the candidates that planned passes need not measure again.

    Those decided beyond doubt: far from the baseline, or certainly not better than it.
    """
    rows = zip(plan.comparisons, analysis.records, strict=True)
    return frozenset(
        each.key
        for each, row in rows
        if not each.is_control and each.factor != CHOICE and _is_settled(row, analysis, plan.delta)
    )


def _is_settled(row: Record, analysis: Analysis, delta: float) -> bool:
    found = analysis.effects.get(row.key)
    if found is None or is_beyond_doubt(row, math.log1p(delta)):
        return found is not None
    is_rival = row.speedup_high is None or row.speedup_high > 1 + delta
    return not is_rival and decided(found, delta, row.passes)
