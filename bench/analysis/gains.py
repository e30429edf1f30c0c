"""How much better than the plain level an arm is, by what one chooses by: rows in, numbers out."""

from collections.abc import Mapping, Sequence

from bench.analysis.intervals import Interval
from bench.record import DELTA
from bench.row import Record

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
