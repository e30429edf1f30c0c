"""bench.analysis.run_agreement: choices, intervals and verdicts of two runs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from bench.analysis.aim import Aim, Situation
from bench.analysis.decision import BEST, FULL, decide
from bench.analysis.estimates import Floats, Interval
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
    expected_share,
)
from bench.records.comparison import DELTA, Arm
from bench.records.row import Record
from helpers.decisions import arm, control, failed, repeats, run
from helpers.records import make_effect, make_record

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


def rows_of(logs: Floats, errors: Floats, quantile: float = NORMAL, **changes: Any) -> list[Record]:
    """Build a run's rows, one for each arm, with these log speed-ups and standard errors."""
    found = []
    for place, (log, error) in enumerate(zip(logs, errors, strict=True)):
        value, low, high = (math.exp(log + side * quantile * error) for side in (0, -1, 1))
        ends = {"speedup": value, "speedup_low": low, "speedup_high": high}
        found.append(make_record(arm=f"arm-{place}", **ends | changes))
    return found


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
def test_coverage_approaches_what_is_expected(ratio: float) -> None:
    """Two runs of 3000 arms of known truth hold each other's estimates as often as expected."""
    source, count = np.random.default_rng(3), 3000
    truth = source.normal(0.0, 0.2, count)
    errors = source.uniform(0.005, 0.02, count)
    runs = [
        rows_of(truth + error * source.standard_normal(count), error)
        for error in (errors, ratio * errors)
    ]
    for each in agreed(*runs).coverages:
        assert each.rows == count
        spread = math.sqrt(each.expected * (1 - each.expected / count))
        assert abs(each.held - each.expected) < 4 * spread
        assert each.of_expected == each.held / each.expected


def test_each_run_has_its_own_coverage() -> None:
    """A wide interval holds what a narrow one does not."""
    narrow, wide = (
        rows_of(np.array([log]), np.array([error])) for log, error in ((0.0, 0.01), (0.05, 0.1))
    )
    first, second = agreed(narrow, wide).coverages
    assert (first.held, second.held) == (0, 1)
    assert first.expected < 0.2
    assert second.expected > 0.9


@pytest.mark.parametrize(("degrees", "short"), [(4.0, 0.045), (16.0, 0.02), (100.0, 0.01)])
def test_coverage_of_intervals_with_few_degrees(degrees: float, short: float) -> None:
    """With estimated standard errors the expected share is Student's, or a little less."""
    source, count = np.random.default_rng(4), 4000
    quantile = float(stdtrit(degrees, 0.975))
    runs = []
    for _ in range(2):
        errors = 0.01 * np.sqrt(source.chisquare(degrees, count) / degrees)
        records = rows_of(0.01 * source.standard_normal(count), errors, quantile)
        effects = {row.key: make_effect(degrees=degrees) for row in records}
        runs.append(RunResult(records=records, decisions=[], effects=effects))
    found, _ = agreement(runs[0], runs[1], DELTA).coverages
    assert -0.015 < found.held / count - found.expected / count < short


@given(
    error=st.floats(1e-4, 0.5), ratio=st.floats(0.01, 100), degrees=st.sampled_from([3, math.inf])
)
def test_the_expected_share_lies_between_its_limits(
    error: float, ratio: float, degrees: float
) -> None:
    """It is 95 % against the truth, 83 % against an equal normal estimate, 0 against noise."""
    own, other, wider = (normal(error * factor) for factor in (1.0, ratio, 2 * ratio))
    found = expected_share(own, other, degrees)
    assert 0 < expected_share(own, wider, degrees) < found < 0.95
    assert expected_share(own, own) == pytest.approx(0.8342, abs=1e-4)


def normal(error: float) -> Interval:
    """Build the interval of an estimate with this standard error."""
    return Interval(1.0, math.exp(-NORMAL * error), math.exp(NORMAL * error))


def test_only_candidates_with_an_interval_in_both_runs_count() -> None:
    """Controls, withheld rows, wrong arms, other caches, sizes and baselines do not count."""
    kept = make_record()
    others: list[dict[str, Any]] = [
        {"arm": "mha"},
        {"speedup_low": None, "speedup_high": None, "verdict": "undecided"},
        {"status": "wrong", "verdict": None},
        {"speedup_low": 1.25, "speedup_high": 1.25},
    ]
    for changes in others:
        row = replace(kept, **changes)
        assert agreement(result([row]), result([row]), DELTA).coverages[0].rows == 0
        assert agreement(result([row]), result([kept]), DELTA).coverages[0].rows == 0
    for changes in ({"cache": "warm"}, {"image_size": 384}, {"baseline": "manual2"}):
        other = replace(kept, **changes)
        assert agreement(result([kept]), result([other]), DELTA).coverages[0].rows == 0
    assert agreement(result([kept]), result([kept]), DELTA).coverages[0].rows == 1


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
