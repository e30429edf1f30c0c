"""Wait, within limits, until other work leaves enough cores to measure on."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bench.machine.counters import TICKS_S, CoreTimes

# Share of a process's time that all its waits may take together, and the maximum of one wait.
WAIT_SHARE = 0.05
MOST_S = 3.0
# Duration of a look at other work, which the kernel counts in ticks of 10 ms.
LOOK_S = 2 * TICKS_S
# Other work on this much of a core makes no thread wait for long enough to count
# (``bench.machine.counters.UNEVEN_SHARE``).
TOLERATED_CORES = 0.25
# Errors of a machine without these counters.
_UNREADABLE = (OSError, ValueError, IndexError)


@dataclass(frozen=True, kw_only=True)
class Calm:
    """Result of a wait: its seconds, and whether the machine was calm in the end.

    ``taken_cores`` is the number of cores that other programs and other virtual machines used at
    the last look; None if it is unknown.
    """

    waited_s: float = 0.0
    is_calm: bool = True
    taken_cores: float | None = None


class Patience:
    """Waits for a calm machine before measurements, for ``left_s`` seconds in all at most.

    A machine is calm if other work leaves a core to each thread that measures: a thread that shares
    its core makes the others wait, which slows arms by their number of parallel regions and does
    not cancel in a ratio. The time since the last look is judged first, so a calm machine costs
    nothing. After a wait in vain the next one is half as long, since load that lasts is not worth
    waiting for. ``say`` receives a line on each wait that is longer than a look; a wait ends when
    ``stop`` returns True. A machine without /proc/stat counts as calm.
    """

    def __init__(
        self,
        left_s: float,
        *,
        say: Callable[[str], object] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
        find_times: Callable[[], CoreTimes] = CoreTimes,
    ) -> None:
        self.left_s, self._most_s = left_s, MOST_S
        self._say, self._stop, self._clock, self._sleep = say, stop, clock, sleep
        self._cores: OtherWork | None = None
        with suppress(*_UNREADABLE, AttributeError):
            self._cores = OtherWork(find_times(), clock)

    def await_calm(self, device: str) -> Calm:
        """Wait until the cores are free that a measurement on ``cpu`` or ``cuda`` needs."""
        if self._cores is None:
            return Calm()
        spare = max(self._cores.count - threads_on(device), 0)
        start_s, limit_s = self._clock(), min(self.left_s, self._most_s)
        taken, looks, waited_s = self._cores.taken(), 0, 0.0
        while taken > spare + TOLERATED_CORES and waited_s + LOOK_S <= limit_s:
            if self._stop():
                break
            if looks == 1:
                self._say(_waiting(limit_s, taken, self._cores.count))
            self._sleep(LOOK_S)
            taken, looks, waited_s = self._cores.taken(), looks + 1, self._clock() - start_s
        is_calm = taken <= spare + TOLERATED_CORES
        self.left_s = max(self.left_s - waited_s, 0.0)
        self._most_s = MOST_S if is_calm else self._most_s / 2
        return Calm(waited_s=waited_s, is_calm=is_calm, taken_cores=taken)


def _waiting(limit_s: float, taken: float, cores: int) -> str:
    used = f"other programs use {taken:.1f} of {cores} cores"
    return f"waiting for a calm machine, {limit_s:.1f} s at most: {used}"


class OtherWork:
    """Number of this process's cores that other work used since the last look."""

    def __init__(self, times: CoreTimes, clock: Callable[[], float]) -> None:
        self.count = times.cores
        self._times, self._clock = times, clock
        self._at_s, self._before, self._last = clock(), times.read(), 0.0

    def taken(self) -> float:
        """Return the cores used by other processes or stolen by other virtual machines.

        Looks closer together than the counters resolve return what the last one found.
        """
        now_s = self._clock()
        if now_s - self._at_s >= TICKS_S:
            after = self._times.read()
            stolen_s, busy_s, own_s = (
                now - then for then, now in zip(self._before, after, strict=True)
            )
            self._last = max(stolen_s + busy_s - own_s, 0.0) / (now_s - self._at_s)
            self._at_s, self._before = now_s, after
        return self._last


def threads_on(device: str) -> int:
    """Return the number of threads that measure: torch's on a CPU, one that launches kernels."""
    if device == "cuda":
        return 1
    import torch

    return torch.get_num_threads()
