"""How much better than the plain level an arm is, by what one chooses by: rows in, numbers out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.estimates import Interval
from bench.records.comparison import DELTA
from bench.records.row import Record

# How often a part (``patcher``, ``attention``) stands in a whole (``block``, ``model``) of a row.
Repeats = Callable[[Record, str], int]

# What is all of the whole: its speed-up holds for all of the whole's time.
_WHOLES = ("block", "model")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one factor's rows say.

    ``gain`` is how many times better the chosen level is than the plain one by the objective,
    ``speedup`` how many times faster; both are 1 for the plain level. ``rivals`` may be better.
    ``component`` and ``batch_size`` are those that it was measured at, ``baseline_ms`` is what the
    plain level took there. ``is_known`` where what is chosen by was measured of some arm,
    ``is_blind`` where it was of none, though there were arms to choose from, or not even the plain
    level could be measured; ``silent`` are those of which it is not known.
    """

    factor: str
    level: str
    gain: Interval
    speedup: Interval
    component: str
    batch_size: int
    baseline_ms: float | None = None
    rivals: tuple[str, ...] = ()
    is_known: bool = False
    is_blind: bool = False
    silent: tuple[str, ...] = ()


def expected_speedup(
    parts: Sequence[Part], whole: Record | None, batch_size: int, repeats: Repeats
) -> Interval | None:
    """The speed-up of a whole by what each of its parts saves of its time (Amdahl 1967).

    ``whole`` is a row of the whole, by which it is known how long the plain one takes; without it
    nothing is known. A part has the share of that time that it takes alone, as often as it stands
    in there. Errors of the parts are taken to be independent.
    """
    if whole is None or not whole.latency_ms or not parts:
        return None
    plain_ms = whole.latency_ms * (1.0 if whole.is_control else whole.speedup or 1.0)
    saved, squares = 0.0, 0.0
    for part in parts:
        share = 1.0
        if part.component not in _WHOLES:
            alone_ms = (part.baseline_ms or 0.0) * batch_size / part.batch_size
            share = min(repeats(whole, part.component) * alone_ms / plain_ms, 1.0)
        saved += _log_saved(part.speedup.value, share)
        squares += _half_width(part.speedup, share) ** 2
    half = math.sqrt(squares)
    return Interval(math.exp(saved), math.exp(saved - half), math.exp(saved + half))


def _log_saved(speedup: float, share: float) -> float:
    return -math.log(1 - share + share / speedup)


def _half_width(speedup: Interval, share: float) -> float:
    """Of the logarithm of what a part saves."""
    low, high = speedup.low or speedup.value, speedup.high or speedup.value
    return (_log_saved(high, share) - _log_saved(low, share)) / 2


# How many times less is less, of what has no interval.
LEAST = {"memory": 1.01, "energy": 1.05}


def gain_of(record: Record, control: Record | None, objective: str) -> Interval | None:
    """How many times better an arm is than the plain level; None where nobody could tell."""
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
    """Of an arm over its baseline, with its interval."""
    if record.speedup is None:
        return None
    return Interval(record.speedup, record.speedup_low, record.speedup_high)


def is_better(record: Record, gain: Interval | None, objective: str) -> bool:
    """Whether an arm with such a gain may be chosen instead of the plain level."""
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
    """The best of several; of those that need alike much memory or energy the fastest."""
    best = max(better, key=lambda each: _value(gains[each.arm]), default=None)
    if best is None or objective not in LEAST:
        return best
    most = _value(gains[best.arm])
    near = (each for each in better if _value(gains[each.arm]) * LEAST[objective] > most)
    return max(near, key=lambda each: each.speedup or 0.0)


def may_beat(gain: Interval | None, best: Interval | None) -> bool:
    """Whether an arm that was not chosen could be better by more than is too small to choose by."""
    if gain is None or gain.high is None:
        return False
    return gain.high > (1 + DELTA) * (best.value if best else 1.0)


def _value(gain: Interval | None) -> float:
    return gain.value if gain else 0.0
