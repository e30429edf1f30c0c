"""bench.analysis.run_agreement: choices, intervals and verdicts of two runs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.aim import Aim, Situation
from bench.analysis.decision import BEST, FULL, decide
from bench.analysis.regret import Rival
from bench.analysis.run_agreement import (
    AGREED,
    BEYOND,
    OPEN,
    SAME,
    UNKNOWN,
    WITHIN,
    ChoicePair,
    RunAgreement,
    RunResult,
    agreement,
)
from bench.records.comparison import DELTA, Arm
from bench.records.row import Record
from helpers.decisions import arm, control, failed, repeats, run
from helpers.records import make_record

PLACE = Situation(
    device="cpu", variant="B/16", patch_size=16, image_size=224, mode="forward", batch_size=1
)
DEFAULT, SDPA, MANUAL = Arm(), Arm(attention="sdpa"), Arm(attention="manual")
NORMAL = 1.959963984540054


def rival(log_gain: float, error: float) -> Rival:
    """Build the gain of the second choice over the first."""
    return Rival(arm="manual", log_gain=log_gain, error=error)


def pair(*gains: Rival | None, delta: float = DELTA) -> ChoicePair:
    """Build two choices that differ, with the gain by each run."""
    first, second = gains
    return ChoicePair(
        situation=PLACE, level=BEST, arms=(SDPA, MANUAL), gains=(first, second), delta=delta
    )


def result(records: Sequence[Record], **effects: Any) -> RunResult:
    """Build what a run found."""
    return RunResult(records=records, decisions=decide(records, Aim(), repeats), **effects)


def agreed(first: Sequence[Record], second: Sequence[Record]) -> RunAgreement:
    """Compare two runs by their rows."""
    return agreement(result(first), result(second), DELTA)


def attention(sdpa: float, manual: float, half: float = 0.003) -> list[Record]:
    """Build a run of three attentions with these gains of the whole."""
    return [
        control("attention"),
        *(_arm(*each, half) for each in (("sdpa", sdpa), ("manual", manual))),
    ]


def _arm(level: str, gain: float, half: float) -> Record:
    verdict = "faster" if gain > half else "slower" if gain < -half else "undecided"
    ends = {"of_whole_low": gain - half, "of_whole_high": gain + half}
    return arm("attention", level, 1 + gain, verdict=verdict, of_whole=gain, **ends)


def test_the_same_choice_differs_by_nothing() -> None:
    """Two runs with other numbers and the same choice agree; at full precision that is one."""
    found = agreed(attention(0.04, 0.01), attention(0.05, -0.01))
    assert [(each.level, each.outcome) for each in found.choices] == [(BEST, SAME)]
    assert {(each.difference, each.bound) for each in found.choices} == {(0.0, 0.0)}
    assert (found.agreed, found.only_once) == (1, 0)


def test_both_levels_are_compared_where_they_differ_in_a_run() -> None:
    """One run finds bf16, the other does not: they agree at full precision alone."""
    slow = [arm("precision", "bf16", 0.5) if row.arm == "bf16" else row for row in run()]
    for runs in ((run(), slow), (slow, run())):
        found = agreed(*runs).choices
        assert [(each.level, each.outcome) for each in found] == [(FULL, SAME), (BEST, BEYOND)]


def test_a_small_difference_is_within_delta() -> None:
    """Two arms that both runs found alike within 1 %: either choice will do."""
    found = agreed(attention(0.050, 0.047), attention(0.047, 0.050)).choices[0]
    assert found.arms == (SDPA, MANUAL)
    assert found.outcome == WITHIN
    assert found.difference == pytest.approx(0.0, abs=1e-4)
    assert found.bound is not None
    assert 0 < found.bound < DELTA


def test_a_large_difference_is_beyond_delta() -> None:
    """One run finds sdpa far better, the other lacks it: they do not agree."""
    second = [control("attention"), _arm("manual", 0.03, 0.003), failed("attention", "sdpa", "oom")]
    found = agreed(attention(0.10, 0.03), second).choices[0]
    assert (found.arms, found.outcome) == ((SDPA, MANUAL), BEYOND)
    assert found.difference == pytest.approx(1.10 / 1.03 - 1)
    assert found.gains[1] is None


def test_a_rival_that_no_run_measured_leaves_the_difference_unknown() -> None:
    """Each run lacks the other's choice."""
    first = [control("attention"), _arm("sdpa", 0.05, 0.003), failed("attention", "manual", "oom")]
    second = [control("attention"), _arm("manual", 0.05, 0.003), failed("attention", "sdpa", "oom")]
    found = agreed(first, second)
    assert {each.outcome for each in found.choices} == {UNKNOWN}
    first_pair = found.choices[0]
    assert (first_pair.difference, first_pair.bound, first_pair.gain) == (None, None, None)
    assert found.agreed == 0


def test_choices_that_were_not_measured_do_not_agree() -> None:
    """Two runs without any measurement of the objective have no choice in common."""
    rows = [failed("attention", "mha", "oom"), failed("attention", "sdpa", "oom")]
    found = agreed(rows, rows)
    assert {(each.arms, each.outcome) for each in found.choices} == {((None, None), UNKNOWN)}


def test_a_situation_of_one_run_is_counted() -> None:
    """A batch size that only one run has is no disagreement."""
    larger = [make_record(**{**row.__dict__, "batch_size": 8}) for row in run()]
    found = agreed([*run(), *larger], run())
    assert found.only_once == 1
    assert {each.situation.batch_size for each in found.choices} == {1}


@given(
    gains=st.lists(
        st.builds(rival, st.floats(-0.1, 0.1), st.floats(1e-4, 0.1)), min_size=2, max_size=2
    ),
    delta=st.sampled_from([0.01, 0.02, 0.05]),
)
def test_outcomes_follow_the_bounds(gains: list[Rival], delta: float) -> None:
    """A pair agrees exactly where its bound is within delta; order of the runs does not matter."""
    one, two = gains
    found, turned = pair(one, two, delta=delta), pair(two, one, delta=delta)
    assert found.bound is not None
    assert found.difference is not None
    assert found.difference < found.bound
    assert (found.outcome in AGREED) is (found.bound <= delta)
    assert found.outcome != BEYOND or found.difference > delta
    assert turned.bound == pytest.approx(found.bound)
    assert turned.outcome == found.outcome


@given(gain=st.floats(-0.1, 0.1), error=st.floats(1e-4, 0.1))
def test_two_runs_say_more_than_one_unless_they_contradict(gain: float, error: float) -> None:
    """Two equal gains have an error smaller by the root of 2; contradicting ones a larger one."""
    alike = pair(rival(gain, error), rival(gain, error)).gain
    alone = pair(rival(gain, error), None).gain
    apart = pair(rival(gain, error), rival(gain + 10 * error, error)).gain
    assert alike is not None
    assert alone is not None
    assert apart is not None
    assert alone == rival(gain, error)
    assert alike.error == pytest.approx(error / math.sqrt(2))
    assert apart.log_gain == pytest.approx(gain + 5 * error)
    assert apart.error == pytest.approx(5 * error)


def test_a_wide_bound_leaves_it_open() -> None:
    """A difference of 1 % that may be 4 % is neither within nor beyond 2 %."""
    assert pair(rival(0.01, 0.02), None).outcome == OPEN
    assert pair(None, rival(-0.01, 0.003)).outcome == WITHIN
    assert pair(None, rival(-0.05, 0.01)).outcome == BEYOND


@pytest.mark.parametrize("manual", [0.03, 0.04, 0.055])
def test_the_bound_holds_what_the_choices_differ_by(manual: float) -> None:
    """Many pairs of runs of one truth: the bound of differing choices holds in about 95 %.

    Each run chooses what it found best, which does not make the bound too small: where two runs
    choose differently, each overrates its own.
    """
    source, sdpa, error = np.random.default_rng(2), 0.04, 0.01
    held = total = 0
    for draws in source.standard_normal((400, 2, 2)) * error:
        runs = [attention(sdpa + a, manual + b, NORMAL * error) for a, b in draws]
        found = agreed(*runs).choices[0]
        if found.outcome == SAME or DEFAULT in found.arms:
            continue
        truth = abs(sdpa - manual)
        total += 1
        held += found.bound is not None and found.bound >= truth
    assert total > 40
    assert held >= 0.93 * total


def test_nothing_in_common_is_empty() -> None:
    """Runs of different variants have neither a situation nor a row in common."""
    other = [replace(row, variant="L/16") for row in run()]
    found = agreed(run(), other)
    assert found.is_empty
    assert found.only_once == 2
    assert found.coverages[0].of_expected is None
    assert not agreed(run(), run()).is_empty


@pytest.mark.parametrize(
    ("one", "two", "count"),
    [
        ("faster", "slower", 1),
        ("slower", "faster", 1),
        ("faster", "equivalent", 0),
        ("faster", "faster", 0),
        ("slower", "undecided", 0),
    ],
)
def test_opposite_verdicts_are_named(one: str, two: str, count: int) -> None:
    """Only faster against slower contradicts."""
    rows = [make_record(verdict=each) for each in (one, two)]
    found = agreement(result(rows[:1]), result(rows[1:]), DELTA)
    assert len(found.opposite) == count
    assert found.opposite == ((rows[0], rows[1]),) * count
