"""Gains of arms over the default level by an objective, and the expected speed-up of a whole."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.estimates import Interval
from bench.analysis.regret import Rival, rival_of, upper_bound
from bench.records.comparison import DELTA
from bench.records.row import Record

# Number of instances of a part (``patcher``, ``attention``) in a row's ``block`` or ``model``.
Repeats = Callable[[Record, str], int]

# Components that are the whole: their speed-up applies to all of its time.
WHOLES = ("block", "model")
# A factor's choice: better than the rest and bounded; no arm changes the whole by more than delta;
# a rival may still gain more than that.
CHOSEN, DOES_NOT_MATTER, OPEN = CELL_STATUSES = ("chosen", "does_not_matter", "open")
# The gain of the default level over itself.
NO_GAIN = Interval(1.0, 1.0, 1.0)
# Minimum gains by objectives that have no interval.
LEAST = {"memory": 1.01, "energy": 1.05}


@dataclass(frozen=True, kw_only=True)
class Part:
    """The choice for one factor."""

    factor: str
    level: str
    """The chosen level."""
    gain: Interval
    """Improvement over the default level by the objective, as a factor; 1 for the default."""
    speedup: Interval
    """Speed-up of the part's time over the default level; 1 for the default."""
    component: str
    """Component of the measurement."""
    batch_size: int
    """Batch size of the measurement."""
    baseline_ms: float | None = None
    """Time of the default level, in milliseconds."""
    contenders: tuple[str, ...] = ()
    """Arms that may be better than the choice by more than delta."""
    of_whole: Interval | None = None
    """Speed-up of the whole by the chosen level, if it was measured inside the model."""
    rivals: tuple[Rival, ...] = ()
    """The other arms, with what they could gain of the whole."""
    status: str = OPEN
    """One of CELL_STATUSES."""
    is_known: bool = False
    """Whether the objective was measured for some arm."""
    has_no_data: bool = False
    """Whether it was measured for none of the arms to choose from, or the default level failed."""
    unmeasured: tuple[str, ...] = ()
    """Arms without a measurement of it."""

    @property
    def bound_of_whole(self) -> float | None:
        """Largest gain of the whole by another arm of this factor, at 95 %; None if unknown."""
        bound = upper_bound(self.rivals)
        return bound if math.isfinite(bound) else None

    @property
    def reach_of_whole(self) -> float | None:
        """Largest change of the whole, either way, by another arm; None if unknown."""
        found = _reach(self.rivals)
        return math.expm1(found) if math.isfinite(found) else None


def gains_by_arm(part: Part) -> dict[str, float]:
    """Return what each arm could gain of the whole over the choice, at 95 %, where it is known.

    The chosen arm has the largest of them.
    """
    known = [each for each in part.rivals if math.isfinite(each.error)]
    found = {each.arm: math.expm1(max(each.upper(len(known)), 0.0)) for each in known}
    return {**found, part.level: upper_bound(known)}


def rivals_of(gains: Mapping[str, Interval], level: str) -> tuple[Rival, ...]:
    """Return the rivals of a choice; ``gains`` are those of the whole over the default by arm."""
    return tuple(rival_of(arm, gain, gains[level]) for arm, gain in gains.items() if arm != level)


def cell_status(rivals: Sequence[Rival], delta: float, *, is_default: bool) -> str:
    """Return the status of a cell by the rivals of its choice.

    An arm replaces the default only where it may change the whole by more than ``delta``, so that
    what does not matter is left at the default.
    """
    if upper_bound(rivals) > delta:
        return OPEN
    return DOES_NOT_MATTER if is_default and _reach(rivals) <= math.log1p(delta) else CHOSEN


def _reach(rivals: Sequence[Rival]) -> float:
    """Return the largest change of the whole's log time by a rival, either way, at 95 %."""
    margins = (each.upper(len(rivals)) - each.log_gain for each in rivals)
    return max((abs(r.log_gain) + m for r, m in zip(rivals, margins, strict=True)), default=0.0)


def gain_of(record: Record, control: Record | None, objective: str) -> Interval | None:
    """Return the improvement of an arm over the default level as a factor; None if unmeasured."""
    if objective == "memory":
        return Interval(1 / record.memory_ratio) if record.memory_ratio else None
    if objective == "energy":
        before = control.joules_per_image if control else None
        after = record.joules_per_image
        return Interval(before / after) if before and after else None
    if objective == "throughput" and record.throughput_ratio is not None:
        ratio, low, high = (
            record.throughput_ratio,
            record.throughput_low,
            record.throughput_high,
        )
        return Interval(ratio, low, high)
    return speedup_of(record)


def speedup_of(record: Record) -> Interval | None:
    """Return the speed-up of an arm over its baseline; None if not measured."""
    if record.speedup is None:
        return None
    return Interval(record.speedup, record.speedup_low, record.speedup_high)


def is_better(record: Record, gain: Interval | None, objective: str) -> bool:
    """Return whether an arm with this gain may replace the default level."""
    if gain is None:
        return False
    if objective in LEAST:
        return gain.value >= LEAST[objective]
    if objective == "throughput" and record.throughput_ratio is not None:
        return gain.low is not None and gain.low > 1
    return record.verdict == "faster"


def best_of(
    better: Sequence[Record], gains: Mapping[str, Interval | None], objective: str
) -> Record | None:
    """Return the best arm; of those with nearly equal memory or energy, the fastest."""
    best = max(better, key=lambda each: _value(gains[each.arm]), default=None)
    if best is None or objective not in LEAST:
        return best
    most = _value(gains[best.arm])
    near = (each for each in better if _value(gains[each.arm]) * LEAST[objective] > most)
    return max(near, key=lambda each: each.speedup or 0.0)


def is_rival(record: Record, gain: Interval | None, best: Interval | None, objective: str) -> bool:
    """Return whether an arm that was not chosen could be better by more than DELTA.

    By its gain's bound; an arm with a time but no bounds, since its verdict was withheld, could.
    """
    if gain is None:
        return False
    if gain.high is None:
        return objective not in LEAST and record.verdict == "undecided"
    return gain.high > (1 + DELTA) * (best.value if best else 1.0)


def _value(gain: Interval | None) -> float:
    return gain.value if gain else 0.0
