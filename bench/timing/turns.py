"""Rounds in which several arms take turns: one timed call of each, in balanced random order."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.records.errors import FAR
from bench.timing.clocks import Clock
from bench.timing.rounds import Call, Watch, is_settled, timed

# An arm whose fastest call is slower than the baseline's slowest by this factor is not called
# again: no further round could make it worth choosing. Two calls show that if they take this many
# seconds; shorter ones may all have met the same foreign load, and are made LEAST_ROUNDS times.
HOPELESS = 1.5
_LEAST_CALLS = 2
_LEAST_S = 0.2
# An arm slower by FAR is not called again after calls of this many seconds together.
LONG_CALL_S = 1.0
# Fewer rounds than this give no spread within a process; two suffice where they take long.
LEAST_ROUNDS = 6
LONG_S = 5.0
_FEW_ROUNDS = 2


def balanced_orders(names: Sequence[str], seed: int) -> Iterator[tuple[str, ...]]:
    """Yield random orders, each followed by its reverse: any two names go first equally often."""
    source = random.Random(seed)  # noqa: S311 (an order, not a secret)
    while True:
        order = tuple(source.sample(names, len(names)))
        yield order
        yield order[::-1]


def nothing(_: str) -> None:
    """Leave the caches as they are."""


@dataclass(kw_only=True)
class Turns:
    """Times of arms that take turns, round by round; ``first`` names the baseline.

    ``before`` is called before each turn, untimed, with the arm's name. An arm that raises is left
    out of further rounds and of the results; the baseline's exception propagates. Attributes ending
    in ``_s`` hold seconds by name, one per round; an arm that was dropped has fewer.
    """

    calls: Mapping[str, Call]
    first: str
    clock: Clock
    watch: Watch
    seed: int = 0
    before: Callable[[str], object] = nothing
    times_s: dict[str, list[float]] = field(default_factory=dict)
    walls_s: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    orders: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = set(self.calls)
        self.begin()

    def begin(self) -> None:
        """Forget the rounds so far, those of the warm-up, and start with a new order."""
        self._orders = balanced_orders(list(self.calls), self.seed)
        self.orders.clear()
        self.times_s = {name: [] for name in self.calls}
        self.walls_s = {name: [] for name in self.calls}

    def round(self) -> None:
        """Call each arm once."""
        order = tuple(name for name in next(self._orders) if name in self._left)
        for name in order:
            self._turn(name)
        self.orders.append(order)
        self.watch.pair()

    def _turn(self, name: str) -> None:
        self.before(name)
        try:
            self.times_s[name].append(timed(self.calls[name], self.clock))
        except (Exception, SystemExit) as error:
            if name == self.first:
                raise
            self.errors[name] = error
            self._left.discard(name)
            return
        if self.clock.last_wall_s is not None:
            self.walls_s[name].append(self.clock.last_wall_s)

    @property
    def called_s(self) -> float:
        """Seconds inside all timed calls."""
        has_walls = any(self.walls_s.values())
        return sum(map(sum, (self.walls_s if has_walls else self.times_s).values()))

    def drop_hopeless(self) -> None:
        """Stop calling arms that are far slower than the baseline in every round."""
        slowest_s = max(self.times_s[self.first])
        for name in sorted(self._left - {self.first}):
            times_s = self.times_s[name]
            least = _LEAST_CALLS if sum(times_s) >= _LEAST_S else LEAST_ROUNDS
            is_far = sum(times_s) >= LONG_CALL_S and min(times_s) > FAR * slowest_s
            if is_far or (len(times_s) >= least and min(times_s) > HOPELESS * slowest_s):
                self._left.discard(name)

    def are_settled(self, before_s: Mapping[str, Sequence[float]]) -> bool:
        """Return whether no arm becomes faster any more; ``before_s``: seconds of earlier calls."""
        return all(is_settled([*before_s[name], *self.times_s[name]]) for name in self._left)

    def late(self, name: str) -> tuple[int, ...]:
        """Return the indices of an arm's rounds in which the baseline was called after it."""
        rounds = enumerate(self.orders[: len(self.times_s[name])])
        return tuple(
            index for index, order in rounds if order.index(self.first) > order.index(name)
        )


def has_enough(rounds: int, spent_s: float, left_s: float, most: int) -> bool:
    """Return whether an even number of rounds fills the time.

    At least LEAST_ROUNDS, or two if these would take longer than LONG_S seconds.
    """
    if rounds % 2 or not rounds:
        return False
    round_s = spent_s / rounds
    least = LEAST_ROUNDS if LEAST_ROUNDS * round_s <= LONG_S else _FEW_ROUNDS
    return rounds >= least and (rounds >= most or spent_s + 2 * round_s > left_s)
