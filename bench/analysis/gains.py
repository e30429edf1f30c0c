"""Gains of arms over the default level by an objective, and the expected speed-up of a whole."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def cell_status(rivals: Sequence[Rival], delta: float) -> str:
    """Return the status of a cell by the rivals of its choice."""
    if upper_bound(rivals) > delta:
        return OPEN
    return DOES_NOT_MATTER if _reach(rivals) <= math.log1p(delta) else CHOSEN


def _reach(rivals: Sequence[Rival]) -> float:
    """Return the largest change of the whole's log time by a rival, either way, at 95 %."""
    margins = (each.upper(len(rivals)) - each.log_gain for each in rivals)
    return max((abs(r.log_gain) + m for r, m in zip(rivals, margins, strict=True)), default=0.0)


def expected_speedup(
    parts: Sequence[Part], whole: Record | None, batch_size: int, repeats: Repeats
) -> Interval | None:
    """Return the speed-up of a whole expected from the speed-ups of its parts (Amdahl 1967).

    ``whole`` is a row of the whole, which gives the time of the default arm; without it the result
    is None. The share of a part is its time alone x its number of instances / that time. Errors of
    the parts are assumed independent.
    """
    if whole is None or not whole.latency_ms or not parts:
        return None
    default_ms = whole.latency_ms * (1.0 if whole.is_control else whole.speedup or 1.0)
    saved, squares = 0.0, 0.0
    for part in parts:
        if part.of_whole is not None:
            saved += math.log(part.of_whole.value)
            squares += _half_width(part.of_whole, 1.0) ** 2
            continue
        share = 1.0
        if part.component not in WHOLES:
            alone_ms = (part.baseline_ms or 0.0) * batch_size / part.batch_size
            share = min(repeats(whole, part.component) * alone_ms / default_ms, 1.0)
        saved += _log_saved(part.speedup.value, share)
        squares += _half_width(part.speedup, share) ** 2
    half = math.sqrt(squares)
    return Interval(math.exp(saved), math.exp(saved - half), math.exp(saved + half))


def _log_saved(speedup: float, share: float) -> float:
    return -math.log(1 - share + share / speedup)


def _half_width(speedup: Interval, share: float) -> float:
    """Return the half-width of the logarithm of the time that a part saves."""
    low, high = speedup.low or speedup.value, speedup.high or speedup.value
    return (_log_saved(high, share) - _log_saved(low, share)) / 2


def gain_of_whole(
    record: Record, whole: Record | None, repeats: Repeats, batch_size: int
) -> Interval | None:
    """Return the speed-up of the whole by an arm; None if it, or the part's share, is unknown.

    An arm that is certainly not faster gains nothing, whatever its share.
    """
    gain = speedup_of(record)
    if gain is None or (record.of_whole is None and record.component in WHOLES):
        return gain
    if record.of_whole is not None:
        return measured_of_whole(record)
    share = _share_alone(record, gain, whole, repeats, batch_size)
    if share:
        bounds = (gain.value, gain.low, gain.high)
        return _interval(None if b is None else math.exp(_log_saved(b, share)) for b in bounds)
    is_slower = gain.high is not None and gain.high <= 1
    return Interval(1.0, 1.0, 1.0) if is_slower else None


def measured_of_whole(record: Record) -> Interval | None:
    """Return the speed-up of the whole by an arm measured inside it; None for any other."""
    if record.of_whole is None:
        return None
    values = (record.of_whole, record.of_whole_low, record.of_whole_high)
    return _interval(None if value is None else 1 + value for value in values)


def _share_alone(
    record: Record, gain: Interval, whole: Record | None, repeats: Repeats, batch_size: int
) -> float:
    """Return the share of a part that was measured alone in the whole's time; 0 if unknown."""
    if whole is None or not whole.latency_ms or record.latency_ms is None:
        return 0.0
    default_ms = whole.latency_ms * (1.0 if whole.is_control else whole.speedup or 1.0)
    alone_ms = record.latency_ms * gain.value * batch_size / (record.batch_size or 1)
    return min(repeats(whole, record.component) * alone_ms / default_ms, 1.0)


def _interval(bounds: Iterable[float | None]) -> Interval:
    value, low, high = bounds
    return Interval(value or 1.0, low, high)


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
