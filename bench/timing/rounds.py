"""Alternating pairs through pytest-benchmark's public interface, and adaptive warm-up.

``benchmark.pedantic`` calls ``setup`` before and ``teardown`` after each timed round, outside its
own timing: the baseline is called in ``setup`` in even rounds and in ``teardown`` in odd ones.
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
# Short calls may use all the time that a user gave to each comparison.
MAX_OWN_ROUNDS = 3000
# Warm-up ends after this many consecutive calls that are not faster than the best before them by
# more than this share; a single one may be slow by chance.
SETTLED_WITHIN = 0.03
SETTLED_CALLS = 2
_SETTLE_S = 0.5
_PATIENCE_S = 5.0
_LEAST_S = 0.2

Call = Callable[[], object]


class Benchmark(Protocol):
    """The part of pytest-benchmark's fixture that the suite uses."""

    stats: Any
    extra_info: dict[str, Any]

    def pedantic(self, target: Call, *, setup: Call, teardown: Call, rounds: int) -> Any:
        """Time ``rounds`` calls of ``target``."""


class Rounds:
    """``benchmark.pedantic`` without pytest."""

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
    """Detects pairs, or rounds of several arms, that foreign load disturbed."""

    @property
    def disturbed(self) -> tuple[int, ...]:
        """Indices of the disturbed pairs."""

    @property
    def uneven(self) -> tuple[int, ...]:
        """Indices of those under load that does not slow all arms alike."""

    @property
    def causes(self) -> dict[str, int]:
        """Number of disturbed pairs by cause."""

    def begin(self) -> None:
        """Start watching, before the first pair."""

    def pair(self) -> None:
        """Judge the load, after each pair."""


class InterruptedPairsError(RuntimeError):
    """The pairs ended early; those measured so far are complete."""


@dataclass(kw_only=True)
class PairedRounds:
    """Times the baseline around the rounds in which pytest-benchmark times the candidate.

    ``refresh`` runs before each pair, untimed. If ``stop`` returns True, no further pair starts and
    InterruptedPairsError is raised. Attributes ending in ``_s`` are seconds, one per round; the
    wall times are empty if wall time is the primary time.
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
        """Run before the candidate's call: in even rounds the baseline is first."""
        if self.stop():
            raise InterruptedPairsError
        if self.rounds == 0:
            self.watch.begin()
        self.refresh()
        if self.rounds % 2 == 0:
            self._time_baseline()

    def teardown(self) -> None:
        """Run after the candidate's call: in odd rounds the baseline follows."""
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
    """Return the seconds of one call by ``clock``."""
    start = clock()
    call()
    end = clock()
    return float(end - start)


def burst(call: Call, calls: int) -> Call:
    """Return several calls as one, between which the device's queue is not drained."""

    def made() -> None:
        for _ in range(calls):
            call()

    return made


def queued(call: Call, clock: Clock, calls: int) -> float:
    """Return the seconds of one call of a burst. Caches are warm."""
    return timed(burst(call, calls), clock) / calls


def is_settled(calls_s: Sequence[float]) -> bool:
    """Return whether warm-up is over: no recent call is clearly faster than all before it."""
    newest = range(len(calls_s) - SETTLED_CALLS, len(calls_s))
    return newest[0] > 0 and all(
        calls_s[index] >= (1 - SETTLED_WITHIN) * min(calls_s[:index]) for index in newest
    )


def settle(call: Call, clock: Clock, first_s: float, limit_s: float) -> tuple[float, bool]:
    """Warm up: repeat the call until its time is settled, or no time is left for another one.

    Returns the seconds of the last call, and whether it was settled. ``first_s`` is the time of the
    very first call. A call that does not fit into ``limit_s`` seconds, or half a second if that is
    more, is not made.
    """
    calls_s, left_s = [first_s], max(limit_s, _SETTLE_S)
    while not is_settled(calls_s) and calls_s[-1] <= left_s:
        calls_s.append(timed(call, clock))
        left_s -= calls_s[-1]
    return calls_s[-1], is_settled(calls_s)


def rounds_for(left_s: float, pair_s: float, most: int = MAX_ROUNDS) -> int:
    """Return the number of pairs for ``left_s`` seconds, even, so that each arm is first in half.

    At least MIN_ROUNDS, or two if these would take more than five seconds. Short pairs fill at
    least a fifth of a second, since more than six then cost next to nothing.
    """
    fitting = int(max(left_s, _LEAST_S) / max(pair_s, 1e-9))
    least = MIN_ROUNDS if MIN_ROUNDS * pair_s <= _PATIENCE_S else 2
    return max(least, min(most, fitting)) // 2 * 2


@contextmanager
def without_collector() -> Iterator[None]:
    """Disable the garbage collector during timed calls."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
