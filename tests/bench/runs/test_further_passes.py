"""bench.runs.schedule: passes beyond the planned ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.comparison import Comparison
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.runs.schedule import REPORT_S, NextPass, next_pass
from helpers.records import make_comparison, make_plan, make_sample

RUN = tuple(make_comparison(name) for name in ("mha", "manual", "sdpa", "mha_weights"))
KEYS = [each.key for each in RUN]
STARTUP_S = 4.0


def plan_of(**changes: Any) -> Plan:
    """Build the plan of two passes over four comparisons with a precision of 1 %."""
    asked = {"comparisons": RUN, "budget_s": 600.0, "passes": 2, "precision": 0.01}
    return make_plan(**asked | changes)


def sample(comparison: Comparison, index: int, **changes: Any) -> Sample:
    """Build a sample of six pairs in 2 s after 0.5 s of preparation."""
    return make_sample(comparison, index, **{"prepare_s": 0.5, "measure_s": 2.0, **changes})


PLANNED = [sample(each, index) for index in range(2) for each in RUN]


def following(
    urgency: Sequence[float], spent: float = 100.0, samples: Sequence[Sample] = PLANNED
) -> NextPass | None:
    """Return the pass after the planned ones, given how urgent each comparison is."""
    by_key = dict(zip(KEYS, urgency, strict=True))
    return next_pass(plan_of(), samples, by_key, spent, STARTUP_S)


def keys_of(coming: NextPass | None) -> set[str]:
    """Return the keys of the comparisons that a pass measures."""
    return {each.key for each in coming.comparisons} if coming else set()


@settings(deadline=None)
@given(urgency=st.lists(st.floats(0, 20), min_size=4, max_size=4))
def test_only_the_urgent_are_measured_again(urgency: list[float]) -> None:
    """A further pass holds exactly the comparisons that are not narrow enough yet."""
    urgent = {key for key, each in zip(KEYS, urgency, strict=True) if each > 1}
    coming = following(urgency)
    assert keys_of(coming) == urgent
    assert coming is None or coming.index == 2


def test_a_run_ends_once_nothing_is_urgent() -> None:
    """A run is complete once every comparison is narrow enough."""
    assert following([1.0, 0.5, 0.2, 0.0]) is None


def test_a_comparison_of_unknown_urgency_is_left_out() -> None:
    """Comparisons without an interval are not measured beyond the planned passes."""
    coming = next_pass(plan_of(), PLANNED, {KEYS[0]: 50.0}, 100.0, STARTUP_S)
    assert keys_of(coming) == {KEYS[0]}


def test_out_of_memory_comparisons_are_dropped() -> None:
    """A comparison that ran out of memory in one pass is not measured again."""
    lost = sample(RUN[0], 1, status="oom", baseline_s=(), arm_s=())
    samples = [each for each in PLANNED if (each.key, each.pass_index) != (lost.key, 1)]
    assert keys_of(following([10.0] * 4, samples=[*samples, lost])) == set(KEYS[1:])


def test_the_most_urgent_come_first_if_time_is_short() -> None:
    """The most urgent comparisons share the time if it is too short for all."""
    # 17 s are left: 13 after the start. Each needs 0.5 s to get ready and 10 pairs, 3.33 s.
    coming = following([2.0, 5.0, 3.0, 4.0], spent=600 - REPORT_S - 17)
    assert keys_of(coming) == {KEYS[1], KEYS[2], KEYS[3]}
    assert coming is not None
    assert coming.seconds == pytest.approx(17)


@pytest.mark.parametrize(("left_s", "goes_on"), [(7.8, False), (7.9, True), (-50.0, False)])
def test_a_spent_budget_ends_the_run(left_s: float, *, goes_on: bool) -> None:
    """A further pass needs time to start and to measure ten pairs."""
    coming = following([10.0] * 4, spent=600 - REPORT_S - left_s)
    assert (coming is not None) is goes_on
    assert len(keys_of(coming)) == int(goes_on)


@pytest.mark.parametrize(
    ("left_s", "seconds"), [(40.0, 40.0), (149.0, 149.0), (160.0, 80.0), (450.0, 112.5)]
)
def test_further_passes_are_of_a_useful_length(left_s: float, seconds: float) -> None:
    """The time left is divided into passes of about a hundred seconds each."""
    coming = following([10.0] * 4, spent=600 - REPORT_S - left_s)
    assert coming is not None
    assert coming.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("each", "weight"),
    [(2.0, 3.0), (1.5, 2.25), (1.1, 1.21), (10.0, 3.0), (0.9, 0.81), (0.1, 0.3)],
)
def test_weights_grow_with_the_urgency(each: float, weight: float) -> None:
    """Weights grow with the square of the urgency, within bounds."""
    plan = plan_of(weights={KEYS[0]: 2.0})
    samples, urgency = PLANNED[:4], dict.fromkeys(KEYS, each)
    coming = next_pass(plan, samples, urgency, 100.0, STARTUP_S)
    assert coming is not None
    assert coming.index == 1
    assert coming.weights == pytest.approx({**dict.fromkeys(KEYS, weight), KEYS[0]: 2 * weight})


def test_without_urgency_the_plans_weights_apply() -> None:
    """Weights of comparisons whose urgency is unknown come from the plan, with default one."""
    plan = plan_of(precision=None, weights={KEYS[0]: 8.0})
    coming = next_pass(plan, PLANNED[:4], {}, 100.0, STARTUP_S)
    assert coming is not None
    assert coming.weights == {**dict.fromkeys(KEYS, 1.0), KEYS[0]: 8.0}


@settings(deadline=None)
@given(
    budget_s=st.floats(60, 1200),
    noise=st.lists(st.floats(0.2, 20), min_size=4, max_size=4),
    cuts=st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any),
)
def test_a_run_ends(budget_s: float, noise: list[float], cuts: list[int]) -> None:
    """Interrupted or not, a run measures a comparison once a pass and ends by urgency or budget."""
    plan = plan_of(budget_s=budget_s)
    samples: list[Sample] = []
    spent, turn = 0.0, _turns(cuts)
    while coming := next_pass(plan, samples, _urgency(samples, noise), spent, STARTUP_S):
        done = coming.comparisons[: next(turn)]
        samples += [sample(each, coming.index) for each in done]
        spent += max(coming.seconds * len(done) / len(coming.comparisons), 0.1 * len(done))
        assert len(samples) < 2000
    names = [(each.key, each.pass_index) for each in samples]
    assert len(set(names)) == len(names)
    assert {(key, index) for key in KEYS for index in range(2)} <= set(names)
    narrow = all(each <= 1 for each in _urgency(samples, noise).values())
    assert narrow or spent > budget_s - REPORT_S - STARTUP_S - 4 * (0.5 + 20 / 6)


def _turns(cuts: Sequence[int]) -> Iterator[int]:
    while True:
        yield from cuts


def _urgency(samples: Sequence[Sample], noise: Sequence[float]) -> Mapping[str, float]:
    counts = [sum(each.key == key for each in samples) for key in KEYS]
    return {
        key: size / count**0.5
        for key, size, count in zip(KEYS, noise, counts, strict=True)
        if count
    }
