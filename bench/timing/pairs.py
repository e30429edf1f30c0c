"""Alternating pairs through pytest-benchmark's public interface, and warm-up that ends by a test.

``benchmark.pedantic`` calls ``setup`` before and ``teardown`` after each timed round, outside its
own timing: the baseline's call goes into ``setup`` in even rounds, into ``teardown`` in odd ones.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

from bench.timing.clocks import Clock

MIN_ROUNDS = 6
MAX_ROUNDS = 300
# Where a user gave each comparison its time, short calls may use it.
MAX_OWN_ROUNDS = 3000
# A call that is less than this much faster than the best before it shows no trend; warm-up ends
# after so many of them in a row, since one may have been slow by chance.
SETTLED_WITHIN = 0.03
SETTLED_CALLS = 2
_SETTLE_S = 0.5
_PATIENCE_S = 5.0
_LEAST_S = 0.2

Call = Callable[[], object]


class Benchmark(Protocol):
    """What the suite uses of pytest-benchmark's fixture."""

    stats: Any
    extra_info: dict[str, Any]

    def pedantic(self, target: Call, *, setup: Call, teardown: Call, rounds: int) -> Any:
        """Time ``rounds`` calls of ``target``."""


class Rounds:
    """``benchmark.pedantic`` of pytest-benchmark, where there is no pytest."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.stats: Any = SimpleNamespace(stats=SimpleNamespace(data=[]))
        self.extra_info: dict[str, Any] = {}

    def pedantic(
        self,
        target: Call,
        *,
        setup: Call,
        teardown: Call,
        rounds: int,
    ) -> None:
        """Time ``rounds`` calls of ``target``."""
        for _ in range(rounds):
            setup()
            self.stats.stats.data.append(timed(target, self.clock))
            teardown()


class Watch(Protocol):
    """Tells which pairs foreign load disturbed."""

    @property
    def disturbed(self) -> tuple[int, ...]:
        """Indices of the disturbed pairs."""

    @property
    def causes(self) -> dict[str, int]:
        """How many pairs each cause disturbed."""

    def begin(self) -> None:
        """The pairs start: what was before does not count."""

    def pair(self) -> None:
        """A pair has ended."""


class InterruptedPairsError(RuntimeError):
    """The pairs were to end early; those measured so far are whole."""


@dataclass(kw_only=True)
class PairedRounds:
    """Times the baseline around the rounds in which pytest-benchmark times the candidate.

    ``refresh`` runs before each pair, untimed; where ``stop`` says so, no further pair begins and
    InterruptedPairsError is raised. Attributes ending in ``_s`` are seconds, one for each round;
    the wall times stay empty where they are the primary ones.
    """

    baseline: Call
    clock: Clock
    refresh: Call
    watch: Watch
    stop: Callable[[], bool]
    baseline_s: list[float] = field(default_factory=list)
    baseline_wall_s: list[float] = field(default_factory=list)
    arm_wall_s: list[float] = field(default_factory=list)
    rounds: int = 0

    def setup(self) -> None:
        """Before the candidate's call: in even rounds the baseline goes first."""
        if self.stop():
            raise InterruptedPairsError
        if self.rounds == 0:
            self.watch.begin()
        self.refresh()
        if self.rounds % 2 == 0:
            self._time_baseline()

    def teardown(self) -> None:
        """After the candidate's call: in odd rounds the baseline follows."""
        if self.clock.last_wall_s is not None:
            self.arm_wall_s.append(self.clock.last_wall_s)
        if self.rounds % 2:
            self._time_baseline()
        self.watch.pair()
        self.rounds += 1

    def _time_baseline(self) -> None:
        self.baseline_s.append(timed(self.baseline, self.clock))
        if self.clock.last_wall_s is not None:
            self.baseline_wall_s.append(self.clock.last_wall_s)


def timed(call: Call, clock: Clock) -> float:
    """Seconds that one call took by ``clock``."""
    start = clock()
    call()
    end = clock()
    return float(end - start)


def is_settled(calls_s: Sequence[float]) -> bool:
    """Whether the newest calls show no trend: none is clearly faster than all before it."""
    newest = range(len(calls_s) - SETTLED_CALLS, len(calls_s))
    return newest[0] > 0 and all(
        calls_s[index] >= (1 - SETTLED_WITHIN) * min(calls_s[:index]) for index in newest
    )


def settle(call: Call, clock: Clock, first_s: float, limit_s: float) -> tuple[float, bool]:
    """Call until there is no trend left or no time for one more.

    Gives the seconds of the newest call, and whether the trend had ended. ``first_s`` is what the
    first call ever took, which settling starts from. A call that would not fit in ``limit_s``, or
    in half a second where that is more, is not made.
    """
    calls_s, left_s = [first_s], max(limit_s, _SETTLE_S)
    while not is_settled(calls_s) and calls_s[-1] <= left_s:
        calls_s.append(timed(call, clock))
        left_s -= calls_s[-1]
    return calls_s[-1], is_settled(calls_s)


def rounds_for(left_s: float, pair_s: float, most: int = MAX_ROUNDS) -> int:
    """Even number of pairs that fit in ``left_s``, so that each arm goes first equally often.

    At least MIN_ROUNDS, but two where so many would take more than five seconds; short ones fill a
    fifth of a second, since a median of six is a poor one where more cost next to nothing.
    """
    fitting = int(max(left_s, _LEAST_S) / max(pair_s, 1e-9))
    least = MIN_ROUNDS if MIN_ROUNDS * pair_s <= _PATIENCE_S else 2
    return max(least, min(most, fitting)) // 2 * 2


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector out of timed calls, for both arms alike."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
