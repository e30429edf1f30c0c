"""Foreign load: which pairs the rest of the machine disturbed, and by what."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.machine.counters import (
    CORES_SHORT,
    MEMORY_SHORT,
    STEAL,
    CoreTimes,
    Pressure,
    RunQueue,
    Source,
    Switches,
    Throttling,
)
from bench.machine.gpu import GpuLoad
from bench.machine.host import group_folders
from bench.timing.pairs import Watch

# What a source may raise that this machine lacks, or whose format another kernel changed.
_UNREADABLE = (OSError, ValueError, IndexError, ImportError)

Sources = Sequence[Source[Any]]


class NoWatch:
    """Sees nothing: for calls that are timed for their own sake."""

    disturbed: tuple[int, ...] = ()

    @property
    def causes(self) -> dict[str, int]:
        """No cause of anything."""
        return {}

    def begin(self) -> None:
        """Start to look away."""

    def pair(self) -> None:
        """Look away."""


@dataclass
class _Look:
    """A source, and what it read last: when, after how many pairs, and which counters."""

    source: Source[Any]
    at_s: float
    pairs: int
    before: Any


class LoadWatch:
    """Looks at sources between pairs; what one finds counts for all pairs since its last look.

    ``find_sources`` is called when the pairs begin, by when the process has its threads. A source
    that cannot be read is left out without a word. The pairs after a source's last look, less than
    its ``every_s``, are not judged by it.
    """

    def __init__(
        self, find_sources: Callable[[], Sources], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._find_sources, self._clock = find_sources, clock
        self._looks: list[_Look] = []
        self._pairs = 0
        self._found: dict[str, set[int]] = {}

    @property
    def disturbed(self) -> tuple[int, ...]:
        """Indices of the disturbed pairs, whatever the cause, in order."""
        return tuple(sorted(set().union(*self._found.values())))

    @property
    def causes(self) -> dict[str, int]:
        """How many pairs each cause disturbed; a pair may have several."""
        return {cause: len(pairs) for cause, pairs in self._found.items()}

    def begin(self) -> None:
        """Find the sources and read them: what was before does not count."""
        self._pairs, self._found, self._looks = 0, {}, []
        for source in self._find_sources():
            with suppress(*_UNREADABLE):
                self._looks.append(_Look(source, self._clock(), 0, source.read()))

    def pair(self) -> None:
        """A pair has ended: look at the sources whose turn it is."""
        self._pairs += 1
        now_s = self._clock()
        for look in self._looks:
            if now_s - look.at_s >= look.source.every_s:
                self._judge(look, now_s)

    def _judge(self, look: _Look, now_s: float) -> None:
        try:
            after = look.source.read()
        except _UNREADABLE:
            self._looks = [each for each in self._looks if each is not look]
            return
        for cause in look.source.causes(look.before, after, now_s - look.at_s):
            self._found.setdefault(cause, set()).update(range(look.pairs, self._pairs))
        look.at_s, look.pairs, look.before = now_s, self._pairs, after


def _here(*makers: Callable[[], Source[Any]]) -> list[Source[Any]]:
    """The sources that this machine has."""
    found = []
    for make in makers:
        with suppress(*_UNREADABLE):
            found.append(make())
    return found


def _own_threads() -> list[Source[Any]]:
    """Whether this process was kept waiting: its own waits tell, else the cores' pressure."""
    waits = _here(RunQueue) or _here(lambda: Pressure("cpu", CORES_SHORT, group_folders("cpu")))
    return [*waits, *_here(Switches, Throttling.of_this_process)]


def cpu_sources() -> Sources:
    """What takes a CPU from this process, as far as this machine tells."""
    return _own_threads() + _here(
        CoreTimes, lambda: Pressure("memory", MEMORY_SHORT, group_folders("memory"))
    )


def cuda_sources() -> Sources:
    """What disturbs the GPU, or the thread that launches its kernels."""
    return _own_threads() + _here(lambda: CoreTimes(judged=(STEAL,)), GpuLoad.of_torch)


def watch_for(device: str) -> Watch:
    """Make the watch that sees what disturbs ``cpu`` or ``cuda``; for one measurement at a time."""
    return LoadWatch(cuda_sources if device == "cuda" else cpu_sources)
