"""Clocks for pytest-benchmark's ``timer``: a call returns a stamp, a difference of stamps seconds.

CUDA is asynchronous, so its clock measures each interval twice: in device time, from events, and
in wall time, with the queue drained before each reading.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, Self

import torch


class Clock(Protocol):
    """A clock; the difference of two stamps is the primary time, in s.

    ``last_wall_s`` is the wall time of the latest difference, or None if the primary time is wall
    time; ``resolution_s`` is the smallest difference that the clock resolves.
    """

    last_wall_s: float | None
    resolution_s: float

    def __call__(self) -> Any:
        """Take a stamp."""


class WallClock:
    """``time.perf_counter``: correct if a call returns when its work is done."""

    last_wall_s: float | None = None
    resolution_s = 1e-9
    __call__ = staticmethod(time.perf_counter)

    def __str__(self) -> str:
        return "wall"


@dataclass(frozen=True, slots=True)
class EventStamp:
    """A time on both clocks: events before and after the queue is drained, wall time between."""

    clock: "EventClock"
    before: torch.cuda.Event
    wall_s: float
    after: torch.cuda.Event

    def __sub__(self, start: Self) -> float:
        """Return the device seconds since ``start``; store the wall seconds in the clock."""
        self.clock.last_wall_s = self.wall_s - start.wall_s
        return float(start.after.elapsed_time(self.before)) / 1e3


class EventClock:
    """CUDA events, together with the synchronised wall clock.

    Events resolve about half a microsecond (CUDA Runtime API, cudaEventElapsedTime).
    """

    resolution_s = 5e-7

    def __init__(self) -> None:
        self.last_wall_s: float | None = None

    def __call__(self) -> EventStamp:
        """Take a stamp after everything that is queued."""
        before = torch.cuda.Event(enable_timing=True)
        after = torch.cuda.Event(enable_timing=True)
        before.record()
        torch.cuda.synchronize()
        wall_s = time.perf_counter()
        after.record()
        return EventStamp(clock=self, before=before, wall_s=wall_s, after=after)

    def __str__(self) -> str:
        return "cuda-events"


def clock_for(device: str) -> Clock:
    """Return the clock of a device."""
    return EventClock() if device == "cuda" else WallClock()


class Marks(Protocol):
    """Marks between the parts of one call; taking one neither waits nor drains a queue."""

    def begin(self) -> None:
        """Mark the start of the first part; forget the marks of a call that was not finished."""

    def mark(self) -> None:
        """Mark the end of a part and the start of the next."""

    def spans_s(self) -> list[float]:
        """Return the seconds between neighbouring marks."""


class WallMarks:
    """Marks on ``time.perf_counter``."""

    def __init__(self) -> None:
        self._marks_s: list[float] = []

    def begin(self) -> None:
        """Mark the start of the first part; forget the marks of a call that was not finished."""
        self._marks_s.clear()
        self.mark()

    def mark(self) -> None:
        """Mark the end of a part and the start of the next."""
        self._marks_s.append(time.perf_counter())

    def spans_s(self) -> list[float]:
        """Return the seconds between neighbouring marks."""
        return [after - before for before, after in pairwise(self._marks_s)]


class EventMarks:
    """Marks in a CUDA stream: device time, with the launches of the parts overlapping."""

    def __init__(self) -> None:
        self._events: list[torch.cuda.Event] = []

    def begin(self) -> None:
        """Mark the start of the first part; forget the marks of a call that was not finished."""
        self._events.clear()
        self.mark()

    def mark(self) -> None:
        """Mark the end of a part and the start of the next."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def spans_s(self) -> list[float]:
        """Wait for the last mark; return the seconds between neighbours."""
        torch.cuda.synchronize()
        return [float(start.elapsed_time(end)) / 1e3 for start, end in pairwise(self._events)]


def marks_for(device: str) -> Marks:
    """Return the marks of a device."""
    return EventMarks() if device == "cuda" else WallMarks()
