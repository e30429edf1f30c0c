"""bench.timing.rounds on a fake clock: order of calls, watch, end of warm-up."""

import gc
from contextlib import nullcontext
from itertools import count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.timing.rounds import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    SETTLED_WITHIN,
    InterruptedPairsError,
    PairedRounds,
    Rounds,
    is_settled,
    rounds_for,
    settle,
    timed,
    without_collector,
)
from helpers.clocks import FakeClock, FakeWatch


def run_pairs(
    clock: FakeClock, rounds: int, stop_before: int | None = None
) -> tuple[PairedRounds, list[float], list[str]]:
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
        baseline=lambda: noted("baseline"),
        clock=clock,
        refresh=lambda: noted("refresh"),
        watch=FakeWatch(calls=order),
        stop=lambda: order.count("pair") == stop_before,
    )
    benchmark = Rounds(clock)
    stopped = nullcontext() if stop_before is None else pytest.raises(InterruptedPairsError)
    with stopped:
        benchmark.pedantic(
            lambda: noted("arm"), setup=pairs.setup, teardown=pairs.teardown, rounds=rounds
        )
    return pairs, benchmark.stats.stats.data, order


EVEN = ["refresh", "baseline", "arm", "pair"]
ODD = ["refresh", "arm", "baseline", "pair"]


def test_order_alternates_and_each_pair_is_refreshed() -> None:
    """The baseline goes first in even rounds and second in odd ones, after one refresh."""
    _, _, order = run_pairs(FakeClock(), 4)
    assert order == ["begin", *EVEN, *ODD, *EVEN, *ODD]


def test_the_watch_sees_whole_pairs() -> None:
    """The watch begins once, before the first pair, and is called after both calls of each."""
    _, _, order = run_pairs(FakeClock(), 3)
    assert order.index("begin") == 0
    assert order.count("begin") == 1
    assert [order[place - 2 : place] for place, name in enumerate(order) if name == "pair"] == [
        ["baseline", "arm"],
        ["arm", "baseline"],
        ["baseline", "arm"],
    ]


@pytest.mark.parametrize("done", range(4))
def test_interrupted_pairs_stay_whole(done: int) -> None:
    """After an interrupt the current pair is finished and no other begins."""
    pairs, arm_s, order = run_pairs(FakeClock(wall_offset_s=0.5), 4, stop_before=done)
    assert order == ["begin", *EVEN, *ODD, *EVEN, *ODD][: 1 + 4 * done] if done else order == []
    numbers = range(1, done + 1)
    assert pairs.baseline_s == [1.0 * number for number in numbers]
    assert arm_s == [10.0 * number for number in numbers]
    assert [len(pairs.baseline_wall_s), len(pairs.arm_wall_s)] == [done, done]
    assert pairs.rounds == done


def test_each_time_is_its_own_call() -> None:
    """In each round, both lists have the seconds of their own arm's call."""
    pairs, arm_s, _ = run_pairs(FakeClock(), 3)
    assert pairs.baseline_s == [1.0, 2.0, 3.0]
    assert arm_s == [10.0, 20.0, 30.0]
    assert pairs.baseline_wall_s == []
    assert pairs.arm_wall_s == []


def test_a_device_clock_also_gives_wall_times() -> None:
    """A clock with two times gives wall times beside the device times, pair by pair."""
    pairs, arm_s, _ = run_pairs(FakeClock(wall_offset_s=0.5), 4)
    assert pairs.baseline_wall_s == [time_s + 0.5 for time_s in pairs.baseline_s]
    assert pairs.arm_wall_s == [time_s + 0.5 for time_s in arm_s]


@pytest.mark.parametrize(
    ("calls_s", "settled"),
    [
        ([1.0], False),
        ([1.0, 1.0], False),  # one call may have been slow by chance
        ([1.0, 1.0, 1.0], True),
        ([1.0, 0.5, 0.5], False),
        ([1.0, 0.5, 0.5, 0.5], True),
        ([1.0, 0.5, 2.0, 0.5], True),
        ([1.0, 0.5, 0.5, 0.5 * (1 - SETTLED_WITHIN / 2)], True),
        ([1.0, 0.5, 0.5, 0.5 * (1 - SETTLED_WITHIN * 2)], False),
        ([0.5, 2.0, 2.0], True),
    ],
)
def test_settled_means_not_clearly_faster_than_before(calls_s: list[float], settled: bool) -> None:  # noqa: FBT001
    """A call clearly faster than every earlier one is not settled."""
    assert is_settled(calls_s) is settled


def test_settling_goes_on_while_calls_get_faster() -> None:
    """Calls go on until two in a row are no faster; the newest time is returned."""
    clock = FakeClock()
    left = iter([4.0, 2.0, 1.0, 1.0, 1.25, 99.0])
    assert settle(clock.work(left), clock, first_s=8.0, limit_s=100.0) == (1.25, True)
    assert list(left) == [99.0]


@given(limit_s=st.floats(-5, 2))
def test_settling_stays_within_its_limit(limit_s: float) -> None:
    """Endless improvement ends at the limit, or after half a second if that is longer."""
    clock = FakeClock()
    calls = (0.95**power / 8 for power in count())
    _, ended = settle(clock.work(calls), clock, first_s=0.2, limit_s=limit_s)
    assert not ended
    assert 0.125 <= clock.now_s <= max(limit_s, 0.5) + 1e-9


def test_a_slow_call_is_not_made_only_to_settle() -> None:
    """A call of ten seconds is not repeated without time for it, and is not settled."""
    clock = FakeClock()
    call = clock.work(repeat(10.0))
    assert settle(call, clock, first_s=10.0, limit_s=-1.0) == (10.0, False)
    assert clock.now_s == 0.0


@given(left_s=st.floats(-10, 1e4), pair_s=st.floats(0, 1e3))
def test_rounds_are_even_and_bounded(left_s: float, pair_s: float) -> None:
    """For any remaining time, the number of pairs is even and within bounds."""
    rounds = rounds_for(left_s, pair_s)
    assert rounds % 2 == 0
    assert (MIN_ROUNDS if pair_s < 0.8 else 2) <= rounds <= MAX_ROUNDS


def test_slow_pairs_are_fewer() -> None:
    """Two pairs are made where six would take too long."""
    assert rounds_for(0.0, 0.8) == MIN_ROUNDS
    assert rounds_for(0.0, 10.0) == 2


def test_short_pairs_fill_a_fifth_of_a_second() -> None:
    """Very short pairs are repeated for a fifth of a second, for a better median than of six."""
    assert rounds_for(0.0, 0.002) == 100
    assert rounds_for(-5.0, 0.02) == 10
    assert rounds_for(0.0, 0.002, most=20) == 20


def test_rounds_fill_the_time() -> None:
    """Between the bounds the pairs take the remaining time."""
    assert rounds_for(10.0, 0.5) == 20


def test_timed_reads_the_clock_around_one_call() -> None:
    """``timed`` returns the seconds of exactly one call."""
    clock = FakeClock()
    assert timed(clock.work(repeat(3.0)), clock) == 3.0


def test_collector_is_paused_and_restored() -> None:
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
