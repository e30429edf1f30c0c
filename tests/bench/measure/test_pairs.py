"""Pairs on a clock that moves by hand: what is timed when, and when warm-up ends."""

import gc
from itertools import count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.pairs import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    SETTLED_WITHIN,
    PairedRounds,
    is_settled,
    rounds_for,
    settle,
    timed,
    without_collector,
)
from fakes import FakeBenchmark, FakeClock


def run_pairs(clock: FakeClock, rounds: int) -> tuple[PairedRounds, list[float], list[str]]:
    """Run pairs whose calls note their order: baseline 1 s, 2 s, ...; candidate 10 s, 20 s, ..."""
    order: list[str] = []
    calls = {
        "baseline": clock.work(map(float, count(1))),
        "arm": clock.work(map(float, count(10, 10))),
        "refresh": clock.work(repeat(0.0)),
    }

    def noted(name: str) -> None:
        order.append(name)
        calls[name]()

    pairs = PairedRounds(
        baseline=lambda: noted("baseline"), clock=clock, refresh=lambda: noted("refresh")
    )
    benchmark = FakeBenchmark(clock)
    benchmark.pedantic(
        lambda: noted("arm"), setup=pairs.setup, teardown=pairs.teardown, rounds=rounds
    )
    return pairs, benchmark.stats.stats.data, order


def test_order_alternates_and_each_pair_is_refreshed() -> None:
    """The baseline goes first in even rounds and second in odd ones, after one refresh."""
    _, _, order = run_pairs(FakeClock(), 4)
    even, odd = ["refresh", "baseline", "arm"], ["refresh", "arm", "baseline"]
    assert order == even + odd + even + odd


def test_each_time_is_its_own_call() -> None:
    """Round by round, both lists hold the seconds of their arm's call and no other's."""
    pairs, arm_s, _ = run_pairs(FakeClock(), 3)
    assert pairs.baseline_s == [1.0, 2.0, 3.0]
    assert arm_s == [10.0, 20.0, 30.0]
    assert pairs.baseline_wall_s == []
    assert pairs.arm_wall_s == []


def test_a_device_clock_also_gives_wall_times() -> None:
    """Where the clock reads two times, wall times stand beside the device's, pair by pair."""
    pairs, arm_s, _ = run_pairs(FakeClock(wall_offset_s=0.5), 4)
    assert pairs.baseline_wall_s == [time_s + 0.5 for time_s in pairs.baseline_s]
    assert pairs.arm_wall_s == [time_s + 0.5 for time_s in arm_s]


@pytest.mark.parametrize(
    ("calls_s", "settled"),
    [
        ([1.0], False),
        ([1.0, 1.0], True),
        ([1.0, 0.5], False),
        ([1.0, 0.5, 0.5 * (1 - SETTLED_WITHIN / 2)], True),
        ([1.0, 0.5, 0.5 * (1 - SETTLED_WITHIN * 2)], False),
        ([0.5, 2.0], True),
    ],
)
def test_settled_means_not_clearly_faster_than_before(calls_s: list[float], settled: bool) -> None:  # noqa: FBT001
    """A call that still clearly beats every earlier one shows a trend."""
    assert is_settled(calls_s) is settled


def test_settling_goes_on_while_calls_get_faster() -> None:
    """Calls are made until one is no faster; its time is returned."""
    clock = FakeClock()
    left = iter([4.0, 2.0, 1.0, 1.0, 99.0])
    assert settle(clock.work(left), clock, first_s=8.0, limit_s=100.0) == 1.0
    assert list(left) == [99.0]


@given(limit_s=st.floats(-5, 20))
def test_settling_stays_within_its_limit(limit_s: float) -> None:
    """Endless improvement ends at the limit, or after half a second where that is more."""
    clock = FakeClock()
    settle(clock.work(0.99**power / 8 for power in count()), clock, first_s=0.2, limit_s=limit_s)
    assert 0.125 <= clock.now_s <= max(limit_s, 0.5) + 1e-9


def test_a_slow_call_is_not_made_only_to_settle() -> None:
    """A call of ten seconds is not repeated where there is no time for it."""
    clock = FakeClock()
    assert settle(clock.work(repeat(10.0)), clock, first_s=10.0, limit_s=-1.0) == 10.0
    assert clock.now_s == 0.0


@given(left_s=st.floats(-10, 1e4), pair_s=st.floats(0, 1e3))
def test_rounds_are_even_and_bounded(left_s: float, pair_s: float) -> None:
    """However little or much time is left, the number of pairs is even and within bounds."""
    rounds = rounds_for(left_s, pair_s)
    assert rounds % 2 == 0
    assert (MIN_ROUNDS if pair_s < 1 else 2) <= rounds <= MAX_ROUNDS


def test_slow_pairs_are_fewer() -> None:
    """Where six pairs would take too long, two must do."""
    assert rounds_for(0.0, 1.0) == MIN_ROUNDS
    assert rounds_for(0.0, 10.0) == 2


def test_rounds_fill_the_time() -> None:
    """Between the bounds the pairs take the time that is left."""
    assert rounds_for(10.0, 0.5) == 20


def test_timed_reads_the_clock_around_one_call() -> None:
    """``timed`` gives the seconds of exactly one call."""
    clock = FakeClock()
    assert timed(clock.work(repeat(3.0)), clock) == 3.0


def test_the_collector_rests_and_comes_back() -> None:
    """The garbage collector is off inside, and on again even after an error."""
    seen = []

    def fail() -> None:
        with without_collector():
            seen.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [False]
    assert gc.isenabled()
