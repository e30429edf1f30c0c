"""Measurements of a comparison, and of a group of them, with defaults."""

from typing import Any

from bench.records.comparison import Comparison
from bench.timing.clocks import WallClock
from bench.timing.rounds import Rounds
from bench.worker.group_session import GroupSession
from bench.worker.session import Session


class NoWatch:
    """Null watch: no pair is disturbed."""

    disturbed: tuple[int, ...] = ()
    uneven: tuple[int, ...] = ()

    @property
    def causes(self) -> dict[str, int]:
        """Number of disturbed pairs by cause: empty."""
        return {}

    def begin(self) -> None:
        """Do nothing."""

    def pair(self) -> None:
        """Do nothing."""


def make_job(comparison: Comparison, clock: Any, seconds: float = 0.0, **changes: Any) -> Session:
    """Build a job on a clock that measures for these seconds, without a watch."""
    given: dict[str, Any] = {
        "benchmark": Rounds(clock),
        "watch": NoWatch(),
        "measuring_s": lambda _: seconds,
        "check": True,
    }
    return Session(comparison=comparison, clock=clock, **given | changes)


def make_group(*comparisons: Comparison, seconds: float = 0.0, **changes: Any) -> GroupSession:
    """Build the measurement of a group for these seconds by the wall clock, without a watch."""
    given: dict[str, Any] = {
        "clock": WallClock(),
        "watch": NoWatch(),
        "measuring_s": lambda _: seconds,
    }
    return GroupSession(comparisons=comparisons, **given | changes)
