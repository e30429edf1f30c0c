"""Clocks for pytest-benchmark's ``timer``: a call gives a stamp, a difference of stamps seconds.

CUDA is asynchronous, so its clock reads two times for each interval: the device's, from events,
and the wall's, with the queue drained before each reading.
"""

import time
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch


class Clock(Protocol):
    """What the suite asks of a clock; the difference of two stamps is the primary time, in s.

    ``last_wall_s`` is the wall time of the newest difference, or None where the primary time is
    the wall's; ``resolution_s`` is the least difference that the clock tells.
    """

    last_wall_s: float | None
    resolution_s: float

    def __call__(self) -> Any:
        """Take a stamp."""


class WallClock:
    """``time.perf_counter``: right wherever a call returns when its work is done."""

    last_wall_s: float | None = None
    resolution_s = 1e-9
    __call__ = staticmethod(time.perf_counter)

    def __str__(self) -> str:
        return "wall"


@dataclass(frozen=True, slots=True)
class EventStamp:
    """A moment on both clocks: an event on each side of a drained queue, and the wall between."""

    clock: "EventClock"
    before: torch.cuda.Event
    wall_s: float
    after: torch.cuda.Event

    def __sub__(self, start: Self) -> float:
        """Device seconds from ``start`` to here; leaves the wall seconds at the clock."""
        self.clock.last_wall_s = self.wall_s - start.wall_s
        return float(start.after.elapsed_time(self.before)) / 1e3


class EventClock:
    """CUDA events, and the synchronised wall clock beside them.

    Events resolve about half a microsecond, says the documentation of cudaEventElapsedTime.
    """

    resolution_s = 5e-7

    def __init__(self) -> None:
        self.last_wall_s: float | None = None

    def __call__(self) -> EventStamp:
        """Take a stamp: everything queued so far is before it."""
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
    """The clock that tells the truth on a device."""
    return EventClock() if device == "cuda" else WallClock()
