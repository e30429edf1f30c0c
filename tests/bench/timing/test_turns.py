"""bench.timing.turns on a fake clock: balanced orders, arms that fail or are hopeless, the end."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations, islice, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.errors import FAR
from bench.timing.turns import (
    HOPELESS,
    LEAST_ROUNDS,
    LONG_CALL_S,
    LONG_S,
    Turns,
    balanced_orders,
    has_enough,
)
from helpers.clocks import FakeClock, FakeWatch

ARMS = ["baseline", "copy", "manual", "sdpa"]
NAMES = st.lists(st.text(max_size=3), min_size=1, max_size=7, unique=True)
SEEDS = st.integers(0, 2**32)


class Played:
    """Turns of arms whose calls take given seconds, and then one second each."""

    def __init__(
        self, times_s: Mapping[str, list[float]], wall_offset_s: float | None = None
    ) -> None:
        self.clock = FakeClock(wall_offset_s)
        self.watch = FakeWatch()
        self.called: list[str] = []
        self.before: list[str] = []
        calls = {n: self.noted(n, chain(s, repeat(1.0))) for n, s in times_s.items()}
        self.turns = Turns(
            calls=calls,
            first=next(iter(calls)),
            clock=self.clock,
            watch=self.watch,
            before=self.before.append,
        )

    def noted(self, name: str, times_s: Iterator[float]) -> Callable[[], None]:
        """Return a call that notes its name; a negative time raises."""

        def call() -> None:
            self.called.append(name)
            time_s = next(times_s)
            if time_s < 0:
                raise ValueError(name)
            self.clock.now_s += time_s

        return call

    def rounds(self, count: int) -> "Played":
        """Play some rounds."""
        for _ in range(count):
            self.turns.round()
        return self


def played(**times_s: list[float]) -> Played:
    """Return turns of a baseline and other arms; the first named is the baseline."""
    return Played(times_s)


@given(names=NAMES, seed=SEEDS, pairs=st.integers(1, 20))
def test_orders_are_balanced(names: list[str], seed: int, pairs: int) -> None:
    """In an even number of rounds any arm goes before any other in exactly half of them."""
    orders = list(islice(balanced_orders(names, seed), 2 * pairs))
    for one, other in combinations(names, 2):
        assert sum(each.index(one) < each.index(other) for each in orders) == pairs


@given(names=NAMES, seed=SEEDS)
def test_orders_are_permutations_each_followed_by_its_reverse(names: list[str], seed: int) -> None:
    """Every round has every arm once, and every second one is the round before it backwards."""
    orders = list(islice(balanced_orders(names, seed), 12))
    assert all(sorted(each) == sorted(names) for each in orders)
    assert all(orders[index + 1] == orders[index][::-1] for index in range(0, 12, 2))


def test_orders_are_drawn_from_the_seed() -> None:
    """Equal seeds give equal orders; over many rounds every arm stands in every place."""
    first, again = (list(islice(balanced_orders(ARMS, 7), 400)) for _ in range(2))
    assert first == again
    assert first != list(islice(balanced_orders(ARMS, 8), 400))
    places = Counter((name, order.index(name)) for order in first for name in order)
    assert all(60 < places[name, place] < 140 for name in ARMS for place in range(len(ARMS)))


def test_a_round_calls_each_arm_once() -> None:
    """A round times every arm once and prepares each turn; the watch judges whole rounds."""
    game = played(baseline=[1.0, 2.0], copy=[10.0, 20.0], sdpa=[0.5, 0.25]).rounds(2)
    assert game.turns.times_s == {"baseline": [1.0, 2.0], "copy": [10.0, 20.0], "sdpa": [0.5, 0.25]}
    assert game.called == list(chain(*game.turns.orders)) == game.before
    assert game.watch.calls == ["pair", "pair"]
    assert game.turns.walls_s == {"baseline": [], "copy": [], "sdpa": []}


def test_a_device_clock_also_gives_wall_times() -> None:
    """A clock with two times gives a wall time beside each device time."""
    game = Played({"baseline": [1.0, 2.0], "sdpa": [4.0, 8.0]}, wall_offset_s=0.5).rounds(2)
    assert game.turns.walls_s == {"baseline": [1.5, 2.5], "sdpa": [4.5, 8.5]}


def test_the_seconds_of_all_calls() -> None:
    """They are wall seconds where the clock gives both, without those of the warm-up."""
    times_s = {"baseline": [9.0, 1.0, 2.0], "sdpa": [9.0, 4.0, 8.0]}
    for offset_s, called_s in ((None, 15.0), (0.5, 17.0)):
        game = Played(times_s, offset_s).rounds(1)
        game.turns.begin()
        assert game.rounds(2).turns.called_s == called_s


@given(seed=SEEDS, rounds=st.integers(0, 12))
def test_late_names_the_rounds_in_which_the_baseline_came_after(seed: int, rounds: int) -> None:
    """``late`` has the rounds whose order puts the baseline behind the arm: half of them."""
    game = played(baseline=[], copy=[], sdpa=[])
    game.turns.seed = seed
    game.turns.begin()
    game.rounds(rounds)
    for name in ("copy", "sdpa"):
        late = game.turns.late(name)
        orders = (order.index("baseline") > order.index(name) for order in game.turns.orders)
        assert [index in late for index in range(rounds)] == list(orders)
        assert abs(2 * len(late) - rounds) == rounds % 2


def test_an_arm_that_raises_is_left_out() -> None:
    """It is not called again, and its exception is kept; the others go on."""
    game = played(baseline=[], copy=[], sdpa=[1.0, -1.0]).rounds(4)
    assert game.called.count("sdpa") == 2
    assert str(game.turns.errors["sdpa"]) == "sdpa"
    assert [len(game.turns.times_s[name]) for name in ("baseline", "copy", "sdpa")] == [4, 4, 1]
    assert all("sdpa" not in order for order in game.turns.orders[2:])
    assert game.turns.errors.keys() == {"sdpa"}


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), ValueError("no such head")])
def test_whatever_an_arm_raises_is_kept(error: BaseException) -> None:
    """An arm that exits Python ends no more than one that raises."""
    game = played(baseline=[], sdpa=[])

    def fail() -> None:
        raise error

    game.turns.calls = {**game.turns.calls, "sdpa": fail}
    game.rounds(2)
    assert game.turns.errors == {"sdpa": error}
    assert len(game.turns.times_s["baseline"]) == 2


def test_the_baselines_exception_propagates() -> None:
    """Without a baseline there is nothing to compare with."""
    game = played(baseline=[1.0, -1.0], sdpa=[])
    with pytest.raises(ValueError, match="baseline"):
        game.rounds(2)


def test_an_interrupt_is_not_an_arms_exception() -> None:
    """A second Ctrl-C ends the rounds, whichever arm it meets."""
    game = played(baseline=[], sdpa=[])

    def interrupt() -> None:
        raise KeyboardInterrupt

    game.turns.calls = {**game.turns.calls, "sdpa": interrupt}
    with pytest.raises(KeyboardInterrupt):
        game.rounds(1)


def hopeless(rounds: int, **times_s: list[float]) -> set[str]:
    """Return the arms that are still called after some rounds and the judgement after each."""
    game = played(**times_s)
    for _ in range(rounds):
        game.rounds(1)
        game.turns.drop_hopeless()
    game.called.clear()
    game.rounds(1)
    return set(game.called)


SLOW_S = 1.01 * HOPELESS


@pytest.mark.parametrize(
    ("rounds", "arm_s", "left"),
    [
        (1, [FAR], True),  # one call may have been slow by chance
        (1, [1.01 * FAR], False),  # but not so long a call, by so much
        (2, [SLOW_S, SLOW_S], False),
        (2, [SLOW_S, 1.0], True),
        (2, [HOPELESS, HOPELESS], True),
        (3, [1.0, 9.0, 9.0], True),
    ],
)
def test_hopeless_arms_are_dropped(rounds: int, arm_s: list[float], *, left: bool) -> None:
    """An arm whose fastest call is far slower than the baseline's slowest is not called again."""
    assert ("sdpa" in hopeless(rounds, baseline=[], copy=[], sdpa=arm_s)) is left


def test_a_single_call_is_enough_only_if_it_is_long() -> None:
    """A second of calls shows how slow an arm is, whatever disturbed it; less does not."""
    for share, dropped in ((0.99, False), (1.01, True)):
        times_s = {"baseline": [LONG_CALL_S / 9] * 3, "sdpa": [share * LONG_CALL_S] * 3}
        assert ("sdpa" not in hopeless(1, **times_s)) is dropped


def test_short_calls_are_not_dropped_at_once() -> None:
    """Two calls of a millisecond may both have met what a neighbour did: six have not."""
    times_s = {"baseline": [1e-3] * 9, "sdpa": [9e-3] * 9}
    assert "sdpa" in hopeless(LEAST_ROUNDS - 1, **times_s)
    assert "sdpa" not in hopeless(LEAST_ROUNDS, **times_s)


def test_a_slow_baseline_makes_no_arm_hopeless() -> None:
    """Arms are judged by the baseline's slowest call, and the baseline itself is never dropped."""
    assert hopeless(2, baseline=[9.0, 1.0], sdpa=[3.0, 3.0]) == {"baseline", "sdpa"}
    assert hopeless(2, baseline=[9.0, 9.0], sdpa=[1.0, 1.0]) == {"baseline", "sdpa"}


def test_a_dropped_arm_keeps_its_times() -> None:
    """Its times are those of the first rounds, and ``late`` speaks of these only."""
    game = played(baseline=[], sdpa=[9.0, 9.0]).rounds(2)
    game.turns.drop_hopeless()
    game.rounds(2)
    assert game.turns.times_s == {"baseline": [1.0] * 4, "sdpa": [9.0] * 2}
    assert len(game.turns.late("sdpa")) == 1
    assert game.turns.errors == {}


@given(warm_up=st.integers(0, 5), pairs=st.integers(1, 5))
def test_the_rounds_after_the_warm_up_are_balanced(warm_up: int, pairs: int) -> None:
    """The rounds begin with an order and its reverse, however many rounds the warm-up took."""
    game = played(baseline=[], copy=[], sdpa=[]).rounds(warm_up)
    game.turns.begin()
    assert game.turns.times_s == {"baseline": [], "copy": [], "sdpa": []}
    game.rounds(2 * pairs)
    assert [len(game.turns.late(name)) for name in ("copy", "sdpa")] == [pairs, pairs]


def test_a_failed_arm_stays_out_after_the_warm_up() -> None:
    """An arm that raised in the warm-up is not called in the rounds."""
    game = played(baseline=[], sdpa=[-1.0]).rounds(1)
    game.turns.begin()
    game.rounds(2)
    assert game.called.count("sdpa") == 1
    assert game.turns.late("sdpa") == ()
    assert "sdpa" in game.turns.errors


def test_settled_means_all_arms() -> None:
    """The warm-up goes on while any arm that is still called becomes faster."""
    game = played(baseline=[1.0] * 9, sdpa=[4.0, 2.0, 1.0, 1.0, 1.0]).rounds(3)
    assert not game.turns.are_settled({"baseline": [1.0], "sdpa": [8.0]})
    assert not game.rounds(1).turns.are_settled({"baseline": [1.0], "sdpa": [8.0]})
    assert game.rounds(1).turns.are_settled({"baseline": [1.0], "sdpa": [8.0]})


def test_a_failed_arm_never_settles_and_need_not() -> None:
    """The warm-up does not wait for an arm that is not called any more."""
    game = played(baseline=[], sdpa=[-1.0]).rounds(2)
    assert game.turns.are_settled({"baseline": [1.0], "sdpa": [8.0]})


ROUNDS, SECONDS = st.integers(0, 700), st.floats(0, 1e4)


@given(rounds=ROUNDS, spent_s=SECONDS, left_s=st.floats(-1e3, 1e4), most=st.integers(2, 600))
def test_enough_is_even_and_not_too_few(
    rounds: int, spent_s: float, left_s: float, most: int
) -> None:
    """The rounds end after an even number only, and not before the fewest that give a spread."""
    if not has_enough(rounds, spent_s, left_s, most):
        return
    assert rounds > 0
    assert rounds % 2 == 0
    assert rounds >= LEAST_ROUNDS or spent_s > LONG_S * rounds / LEAST_ROUNDS


@given(round_s=st.floats(1e-5, 1e3), left_s=st.floats(-10, 1e3), most=st.integers(2, 300))
def test_rounds_fill_the_time_and_no_more(round_s: float, left_s: float, most: int) -> None:
    """Rounds of equal length end when two more do not fit, or the most are made."""
    done = next(n for n in range(1, 10**6) if has_enough(n, n * round_s, left_s, most))
    least = LEAST_ROUNDS if LEAST_ROUNDS * round_s <= LONG_S else 2
    assert done <= max(least, most + 1)
    if done > least:
        assert done * round_s <= left_s * (1 + 1e-9)
    if done < most:
        assert (done + 2) * round_s > left_s * (1 - 1e-9)


@pytest.mark.parametrize(
    ("given_", "enough"),
    [
        ((0, 0.0, -1.0, 300), False),  # nothing measured yet
        ((6, 0.6, -1.0, 300), True),
        ((4, 0.4, -1.0, 300), False),
        ((2, 2.0, -1.0, 300), True),  # six would take six seconds
        ((3, 30.0, -1.0, 300), False),
        ((300, 3.0, 100.0, 300), True),
        ((298, 3.0, 100.0, 300), False),
    ],
)
def test_enough_rounds(given_: tuple[int, float, float, int], *, enough: bool) -> None:
    """Six rounds, or two long ones, are made even without time for them."""
    assert has_enough(*given_) is enough


def test_the_first_arm_need_not_be_the_first_called() -> None:
    """``first`` names the baseline; the order of the arms in ``calls`` has no meaning."""
    game: Any = played(sdpa=[9.0, 9.0], baseline=[])
    turns = Turns(
        calls=game.turns.calls, first="baseline", clock=game.clock, watch=game.watch, seed=3
    )
    turns.round()
    turns.round()
    turns.drop_hopeless()
    turns.round()
    assert [len(turns.times_s[name]) for name in ("baseline", "sdpa")] == [3, 2]
