"""bench.runs.levels: precision first, then everything else at full precision and at the winner."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.aim import Aim, situation
from bench.records.comparison import CHOICE, FACTORS, Comparison
from bench.records.plan import Choice, Plan
from bench.records.row import Record
from bench.runs.combination import with_choices
from bench.runs.levels import (
    LEAST_SPEEDUP,
    REPEATED,
    at_precision,
    first_pass,
    is_staged,
    precisions,
    serves,
    wanted_levels,
)
from bench.suite.grid import Selection, comparisons
from helpers.decisions import arm, control, failed, only
from helpers.records import make_comparison, make_plan

LEVELS = ("amp_bf16", "amp_fp16", "bf16")
USUAL = comparisons(Selection(variants=("B/16",), batch_sizes=(1,)))
SIZES = comparisons(Selection(variants=("B/16", "L/16"), batch_sizes=(1, 8)))


def plan_of(compared: Sequence[Comparison] = USUAL, **changes: Any) -> Plan:
    """Build the plan of a run that compares precisions first."""
    staged = is_staged(compared)
    return make_plan(comparisons=tuple(compared), precision_first=staged, **changes)


def rows(*speedups: float, **changes: Any) -> list[Record]:
    """Build the rows of precisions of the whole model with these speed-ups."""
    given = {"component": "model", **changes}
    found = (arm("precision", name, each) for name, each in zip(LEVELS, speedups, strict=False))
    return [control("precision", **given), *(replace(row, **given) for row in found)]


def only_factors(*factors: str) -> list[Comparison]:
    """Return the usual comparisons of these factors."""
    return [each for each in USUAL if each.factor in factors]


@pytest.mark.parametrize(
    ("compared", "staged"),
    [
        (USUAL, True),
        (only_factors("precision"), False),
        (only_factors("attention", "patcher"), False),
        (only_factors("attention", "precision"), True),
        (comparisons(Selection(factors=("kernel", "precision"))), False),
    ],
    ids=["usual", "precision", "parts", "attention", "kernels"],
)
def test_precisions_come_first_where_others_depend_on_them(
    compared: Sequence[Comparison], *, staged: bool
) -> None:
    """A run is staged if it compares precisions and what depends on them."""
    assert is_staged(compared) is staged
    plan = plan_of(compared)
    firsts = {each.factor: first_pass(plan, each) for each in compared}
    assert firsts == {name: int(staged and name != "precision") for name in firsts}


def test_what_does_not_depend_on_precision_is_in_the_first_pass() -> None:
    """Kernels and layouts are not repeated, and need not wait."""
    plan = plan_of(comparisons(Selection(variants=("B/16",), factors=FACTORS)))
    firsts = {first_pass(plan, each) for each in plan.comparisons if each.factor not in REPEATED}
    assert firsts == {0}


def test_the_fastest_admissible_precision_is_chosen() -> None:
    """The fastest wins; one that errs too much, or failed, does not."""
    (place,) = {situation(row) for row in rows()}
    assert precisions(rows(1.5, 1.2, 1.8), Aim()) == {place: "bf16"}
    erring = [
        replace(row, output_error=0.1) if row.arm == "bf16" else row for row in rows(1.5, 1, 2)
    ]
    assert precisions(erring, Aim(max_error=0.01)) == {place: "amp_bf16"}
    lost = [*rows(1.5), failed("precision", "bf16", "oom")]
    assert precisions(lost, Aim()) == {place: "amp_bf16"}


@given(speedups=st.lists(st.floats(0.2, 4), min_size=3, max_size=3))
def test_a_precision_is_worth_a_level_from_5_percent(speedups: list[float]) -> None:
    """Below the least speed-up everything is compared at full precision only."""
    found = precisions(rows(*speedups), Aim())
    best = max(speedups)
    expected = [LEVELS[speedups.index(best)]] if best >= LEAST_SPEEDUP else []
    assert list(found.values()) == expected
    assert (wanted_levels(plan_of(), rows(*speedups), Aim()) is None) == (not expected)


def test_each_situation_has_its_own_precision() -> None:
    """bf16 may win at batch 8 only; then batch 1 has no second level."""
    found = [*rows(0.9, 0.5, 0.8), *rows(1.5, 0.5, 1.8, batch_size=8)]
    chosen = precisions(found, Aim())
    assert {place.batch_size: level for place, level in chosen.items()} == {8: "bf16"}
    choice = wanted_levels(plan_of(SIZES), found, Aim())
    assert choice is not None
    assert {(c.workload.variant, c.workload.batch_size) for c in choice.comparisons} == {
        ("B/16", 8)
    }


def test_a_level_repeats_every_factor_with_its_controls() -> None:
    """Every patcher, attention and compile mode is compared again, with both arms in bf16."""
    choice = wanted_levels(plan_of(), rows(1.5, 1.2, 1.8), Aim())
    assert choice is not None
    before = only_factors(*REPEATED)
    assert choice == Choice(
        comparisons=tuple(at_precision(each, "bf16") for each in before), passes=3
    )
    assert [each.is_control for each in choice.comparisons] == [each.is_control for each in before]
    assert all(each.key.endswith("@bf16") for each in choice.comparisons)


def test_a_level_is_chosen_once() -> None:
    """After the choice nothing is wanted, also if another precision is the fastest by now."""
    plan = plan_of()
    choice = wanted_levels(plan, rows(1.5, 1.2, 1.8), Aim())
    assert choice is not None
    extended = with_choices(plan, [choice])
    assert len(extended.comparisons) == len(plan.comparisons) + len(choice.comparisons)
    assert extended.choice_passes == 0
    assert extended.precision_first
    for again in (rows(1.5, 1.2, 1.8), rows(1.9, 1.2, 1.8), rows(1, 1, 1)):
        assert wanted_levels(extended, again, Aim()) is None


@settings(deadline=None)
@given(
    level=st.sampled_from([*LEVELS, "fp32", "tf32"]),
    comparison=st.sampled_from(
        comparisons(Selection(devices=("cpu", "cuda"), factors=FACTORS, modes=("forward", "train")))
    ),
)
def test_a_comparison_at_a_precision_differs_in_nothing_else(
    level: str, comparison: Comparison
) -> None:
    """Both arms get the precision, and a control remains one; fp32 restores the comparison."""
    found = at_precision(comparison, level)
    assert (found.arm.precision, found.baseline.precision) == (level, level)
    assert (found.factor, found.workload, found.cache) == (
        *(comparison.factor, comparison.workload, comparison.cache),
    )
    if comparison.factor != "precision":
        assert found.is_control == comparison.is_control
        assert found.arm_name == comparison.arm_name
    usual = comparison.baseline.precision
    if comparison.factor != "precision":
        assert at_precision(found, usual) == comparison


@settings(deadline=None)
@given(
    chosen=st.lists(st.tuples(st.sampled_from((1, 8)), st.floats(0.8, 2.5)), max_size=3),
    passes=st.integers(1, 4),
)
def test_the_levels_of_any_rows_are_new_and_complete(
    chosen: list[tuple[int, float]], passes: int
) -> None:
    """Keys are unique in the extended plan, and every situation has all or nothing of a level."""
    found = [row for size, speedup in chosen for row in rows(speedup, batch_size=size)]
    plan = plan_of(SIZES, passes=passes)
    choice = wanted_levels(plan, found, Aim())
    extended = with_choices(plan, [choice] if choice else [])
    keys = [each.key for each in extended.comparisons]
    assert len(set(keys)) == len(keys)
    sizes = {row.batch_size for row in found if (row.speedup or 0) >= LEAST_SPEEDUP}
    for each in SIZES:
        is_chosen = each.workload.batch_size in sizes and each.workload.variant == "B/16"
        is_repeated = at_precision(each, "amp_bf16").key in keys
        if each.factor in REPEATED:
            assert is_repeated == is_chosen
    assert choice is None or choice.passes == passes


def test_rows_serve_the_decision_at_their_precision() -> None:
    """Rows at fp32 serve the answer at full precision, those at bf16 the best; precisions both."""
    best = only([control("precision", component="model"), control("attention")])
    attention = make_comparison("sdpa")
    assert serves(attention, best)
    assert not serves(at_precision(attention, "bf16"), best)
    assert serves(make_comparison("bf16", baseline="fp32", factor="precision"), best)
    assert not serves(make_comparison("sdpa", batch_size=8), best)
    assert not serves(make_comparison("sdpa", variant="L/16"), best)
    assert CHOICE not in REPEATED
