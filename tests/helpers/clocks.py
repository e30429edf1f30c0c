"""Stand-ins for the clock, the benchmark fixture and the watch, and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class FakeClock:
    """A clock that only moves when told to; ``wall_offset_s`` makes it a device clock."""

    resolution_s = 0.0

    def __init__(self, wall_offset_s: float | None = None) -> None:
        self.now_s = 0.0
        self.wall_offset_s = wall_offset_s
        self.last_wall_s: float | None = None

    def __call__(self) -> "FakeStamp":
        """Take a stamp."""
        return FakeStamp(self, self.now_s)

    def work(self, seconds: Iterator[float]) -> Callable[[], None]:
        """Make a call that takes the next of ``seconds``."""

        def call() -> None:
            self.now_s += next(seconds)

        return call


class FakeStamp:
    """A moment of a FakeClock."""

    def __init__(self, clock: FakeClock, at_s: float) -> None:
        self.clock, self.at_s = clock, at_s

    def __sub__(self, start: "FakeStamp") -> float:
        elapsed_s = self.at_s - start.at_s
        if self.clock.wall_offset_s is not None:
            self.clock.last_wall_s = elapsed_s + self.clock.wall_offset_s
        return elapsed_s


@dataclass
class FakeWatch:
    """A watch that was told which pairs are disturbed, and by what; notes what it is told."""

    disturbed: tuple[int, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """The pairs start."""
        self.told.append("begin")

    def pair(self) -> None:
        """A pair has ended."""
        self.told.append("pair")
