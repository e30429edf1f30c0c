"""Foreign load: pairs that other work on the machine disturbed, and the causes."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.machine.counters import (
    CORES_SHORT,
    MEMORY_SHORT,
    STEAL,
    UNEVEN,
    CoreTimes,
    Pressure,
    RunQueue,
    Source,
    Switches,
    Throttling,
)
from bench.machine.gpu import GpuLoad
from bench.machine.host import group_folders
from bench.timing.rounds import Watch

# Errors of a source that this machine lacks, or whose format another kernel changed.
_UNREADABLE = (OSError, ValueError, IndexError, ImportError)

Sources = Sequence[Source[Any]]


@dataclass
class _Reading:
    """The last reading of a source: time, number of pairs until then, counters."""

    source: Source[Any]
    at_s: float
    pairs: int
    before: Any


class LoadWatch:
    """Reads sources between pairs; a cause counts for all pairs since the source's last reading.

    ``find_sources`` is called when the pairs begin, since the process has its threads by then. A
    source that cannot be read is left out. The pairs after a source's last reading, which last less
    than its ``every_s`` together, are not judged by it.
    """

    def __init__(
        self, find_sources: Callable[[], Sources], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._find_sources, self._clock = find_sources, clock
        self._last: list[_Reading] = []
        self._pairs = 0
        self._found: dict[str, set[int]] = {}

    @property
    def disturbed(self) -> tuple[int, ...]:
        """Indices of the disturbed pairs, in order."""
        return tuple(sorted(set().union(*self._found.values())))

    @property
    def uneven(self) -> tuple[int, ...]:
        """Indices of the pairs under load that does not slow all arms alike, in order."""
        return tuple(sorted(self._found.get(UNEVEN, ())))

    @property
    def causes(self) -> dict[str, int]:
        """Number of disturbed pairs by cause; a pair may have several causes."""
        return {cause: len(pairs) for cause, pairs in self._found.items()}

    def begin(self) -> None:
        """Find the sources and read them; earlier load does not count."""
        self._pairs, self._found, self._last = 0, {}, []
        for source in self._find_sources():
            with suppress(*_UNREADABLE):
                self._last.append(_Reading(source, self._clock(), 0, source.read()))

    def pair(self) -> None:
        """Read the sources that are due, after each pair."""
        self._pairs += 1
        now_s = self._clock()
        for last in self._last:
            if now_s - last.at_s >= last.source.every_s:
                self._judge(last, now_s)

    def _judge(self, last: _Reading, now_s: float) -> None:
        try:
            after = last.source.read()
        except _UNREADABLE:
            self._last = [each for each in self._last if each is not last]
            return
        for cause in last.source.causes(last.before, after, now_s - last.at_s):
            self._found.setdefault(cause, set()).update(range(last.pairs, self._pairs))
        last.at_s, last.pairs, last.before = now_s, self._pairs, after


def _here(*makers: Callable[[], Source[Any]]) -> list[Source[Any]]:
    """Return the sources that this machine has."""
    found = []
    for make in makers:
        with suppress(*_UNREADABLE):
            found.append(make())
    return found


def _own_threads() -> list[Source[Any]]:
    """Return sources for this process's waits; without them, for the pressure on the cores."""
    waits = _here(RunQueue) or _here(lambda: Pressure("cpu", CORES_SHORT, group_folders("cpu")))
    return [*waits, *_here(Switches, Throttling.of_this_process)]


def cpu_sources() -> Sources:
    """Return the sources for other work on the CPU."""
    return _own_threads() + _here(
        CoreTimes, lambda: Pressure("memory", MEMORY_SHORT, group_folders("memory"))
    )


def cuda_sources() -> Sources:
    """Return the sources for disturbances of the GPU and of the thread that launches kernels."""
    return _own_threads() + _here(lambda: CoreTimes(judged=(STEAL,)), GpuLoad.of_torch)


def watch_for(device: str) -> Watch:
    """Return a watch for disturbances of ``cpu`` or ``cuda``, for one measurement at a time."""
    return LoadWatch(cuda_sources if device == "cuda" else cpu_sources)
