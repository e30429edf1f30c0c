"""Fakes for clocks, CUDA events and the watch."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace


class FakeClock:
    """Clock advanced by a test only; ``wall_offset_s`` makes it a device clock."""

    resolution_s = 0.0

    def __init__(self, wall_offset_s: float | None = None) -> None:
        self.now_s = 0.0
        self.wall_offset_s = wall_offset_s
        self.last_wall_s: float | None = None

    def __call__(self) -> "FakeStamp":
        """Take a stamp."""
        return FakeStamp(self, self.now_s)

    def as_time(self) -> SimpleNamespace:
        """Return a stand-in for the module ``time``."""
        return SimpleNamespace(perf_counter=lambda: self.now_s)

    def work(self, seconds: Iterator[float]) -> Callable[[], None]:
        """Return a call that takes the next of ``seconds``."""

        def call() -> None:
            self.now_s += next(seconds)

        return call


class FakeStamp:
    """Time stamp of a FakeClock."""

    def __init__(self, clock: FakeClock, at_s: float) -> None:
        self.clock, self.at_s = clock, at_s

    def __sub__(self, start: "FakeStamp") -> float:
        elapsed_s = self.at_s - start.at_s
        if self.clock.wall_offset_s is not None:
            self.clock.last_wall_s = elapsed_s + self.clock.wall_offset_s
        return elapsed_s


class DeviceClock:
    """The wall clock in the role of a device's clock: it also gives wall times, a little longer."""

    resolution_s = 5e-7

    def __init__(self) -> None:
        self.last_wall_s: float | None = None

    def __call__(self) -> "DeviceStamp":
        """Take a stamp."""
        return DeviceStamp(self, time.perf_counter())


class DeviceStamp:
    """Time stamp of a DeviceClock."""

    def __init__(self, clock: DeviceClock, at_s: float) -> None:
        self.clock, self.at_s = clock, at_s

    def __sub__(self, start: "DeviceStamp") -> float:
        elapsed_s = self.at_s - start.at_s
        self.clock.last_wall_s = elapsed_s + 1e-6
        return elapsed_s


class FakeEvent:
    """An event of CUDA on a FakeClock; like a real one it has a time once the queue is drained."""

    clock = FakeClock()
    is_drained = True

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.at_s: float | None = None

    def record(self) -> None:
        """Take the time at this place of the queue."""
        self.at_s = self.clock.now_s
        FakeEvent.is_drained = False

    def elapsed_time(self, end: "FakeEvent") -> float:
        """Return the milliseconds until another event."""
        assert FakeEvent.is_drained, "the queue was not drained"
        assert self.at_s is not None
        assert end.at_s is not None
        return 1e3 * (end.at_s - self.at_s)

    @classmethod
    def drain(cls) -> None:
        """Stand in for ``torch.cuda.synchronize``."""
        FakeEvent.is_drained = True


@dataclass
class FakeWatch:
    """Fake watch with given disturbed pairs and causes; records its calls."""

    disturbed: tuple[int, ...] = ()
    uneven: tuple[int, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Record the start of the pairs."""
        self.calls.append("begin")

    def pair(self) -> None:
        """Record the end of a pair."""
        self.calls.append("pair")
