"""bench.runs.urgency: where further passes of a run that chooses go."""

from dataclasses import replace

import pytest

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision
from bench.analysis.rows import Analysis, analyse
from bench.records.comparison import CHOICE, DEFAULT_ARM, MODEL, Arm, Comparison
from bench.records.plan import Plan
from bench.runs.combination import decisions
from bench.runs.urgency import regrets, settled
from helpers.records import make_comparison, make_environment, make_plan, make_sample

ATTENTIONS = tuple(make_comparison(name, cache=MODEL) for name in ("mha", "manual", "sdpa"))
BLOCKS = tuple(
    make_comparison(name, factor="compile", baseline="eager", component="block", cache=MODEL)
    for name in ("eager", "compile_blocks")
)
CHOSEN = Arm(attention="sdpa", compile="compile_blocks")
WHOLES = tuple(
    replace(BLOCKS[0], factor=CHOICE, baseline=DEFAULT_ARM, arm=arm)
    for arm in (DEFAULT_ARM, CHOSEN)
)
PASSES = 4
# Seconds of arms whose part takes 10 s with the default, each time slightly different.
SECONDS = {"manual": 11.0, "sdpa": 5.0, "compile_blocks": 8.0}


def measured(plan: Plan, passes: dict[str, int] | None = None) -> Analysis:
    """Return the analysis of a plan's comparisons, ``passes`` of one by its key."""
    samples = [
        replace(
            make_sample(
                each,
                number,
                baseline_s=(10.0, 10.01) * 4,
                arm_s=tuple(
                    SECONDS.get(each.arm_name, 10.0) + 0.001 * (number + k) for k in range(8)
                ),
            ),
            whole_s=40.0,
            share=0.5,
        )
        for each in plan.comparisons
        for number in range((passes or {}).get(each.key, PASSES))
    ]
    return analyse("run", plan.comparisons, samples, make_environment(), plan.delta)


def plan_of(*comparisons: Comparison) -> Plan:
    """Build the plan of a run that chooses."""
    return make_plan(comparisons=comparisons, choose=True)


def decided(analysis: Analysis) -> list[Decision]:
    """Return the decisions of an analysis."""
    return decisions(analysis.records, Aim())


def test_what_could_gain_nothing_is_not_urgent() -> None:
    """Where the choice is certain, no arm of its factor needs another pass."""
    plan = plan_of(*ATTENTIONS)
    analysis = measured(plan)
    found = regrets(plan, analysis, decided(analysis))
    assert set(found) == {each.key for each in ATTENTIONS[1:]}
    assert max(found.values()) <= 1.0


@pytest.mark.parametrize(("passes", "is_urgent"), [(0, True), (1, True), (2, False)])
def test_a_combination_inside_the_model_is_measured_twice(passes: int, *, is_urgent: bool) -> None:
    """The chosen one with its control, beside the parts of further passes."""
    plan = plan_of(*ATTENTIONS, *BLOCKS, *WHOLES)
    keys = [each.key for each in WHOLES]
    analysis = measured(plan, dict.fromkeys(keys, passes))
    found = decided(analysis)
    assert [each.combination for each in found] == [CHOSEN]
    urgent = regrets(plan, analysis, found)
    assert all((urgent.get(key, 0.0) > 1.0) is is_urgent for key in keys)


def test_a_combination_that_is_no_longer_chosen_is_left_out() -> None:
    """The rows have changed since: another pass would be wasted on it."""
    other = replace(WHOLES[1], arm=Arm(attention="manual", compile="compile_blocks"))
    plan = plan_of(*ATTENTIONS, *BLOCKS, WHOLES[0], other)
    analysis = measured(plan, {WHOLES[0].key: 0, other.key: 0})
    assert other.key not in regrets(plan, analysis, decided(analysis))


def test_what_is_beyond_doubt_is_settled() -> None:
    """Far from the baseline, either way; a combination never is."""
    plan = plan_of(*ATTENTIONS, *BLOCKS, *WHOLES)
    found = settled(plan, measured(plan))
    assert {ATTENTIONS[1].key, ATTENTIONS[2].key, BLOCKS[1].key} <= found
    assert not found & {each.key for each in (*WHOLES, ATTENTIONS[0], BLOCKS[0])}
