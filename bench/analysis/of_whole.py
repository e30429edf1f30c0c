"""What arms change of the whole model: measured in its units, or from the share of their part."""

import math
from collections.abc import Iterable, Sequence

from bench.analysis.estimates import Interval
from bench.analysis.gains import NO_GAIN, WHOLES, Part, Repeats, speedup_of
from bench.analysis.row_times import change_of_whole
from bench.records.row import Record

# A speed-up nearer to 1 says nothing about the share of its part.
_LEAST = 1e-6


def expected_speedup(
    parts: Sequence[Part], whole: Record | None, batch_size: int, repeats: Repeats
) -> Interval | None:
    """Return the speed-up of a whole expected from the speed-ups of its parts (Amdahl 1967).

    ``whole`` is a row of the whole, which gives the time of the default arm. The share of a part
    that was not measured inside the model is its time alone x its number of instances / that time;
    None where that is unknown. Errors of the parts are assumed independent.
    """
    if not parts:
        return None
    saved, squares = 0.0, 0.0
    for part in parts:
        if part.of_whole is not None:
            saved += math.log(part.of_whole.value)
            squares += _half_width(part.of_whole, 1.0) ** 2
        elif part.speedup != NO_GAIN:
            share = _share_of(part, whole, batch_size, repeats)
            if share is None:
                return None
            saved += _log_saved(part.speedup.value, share)
            squares += _half_width(part.speedup, share) ** 2
    half = math.sqrt(squares)
    return Interval(math.exp(saved), math.exp(saved - half), math.exp(saved + half))


def _share_of(part: Part, whole: Record | None, batch_size: int, repeats: Repeats) -> float | None:
    """Return the share of a part in the whole's time; None if that time is unknown."""
    if part.component in WHOLES:
        return 1.0
    alone_ms = (part.baseline_ms or 0.0) * batch_size / part.batch_size
    return _share_alone(part.component, alone_ms, whole, repeats)


def _log_saved(speedup: float, share: float) -> float:
    return math.log1p(change_of_whole(share, speedup))


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
        return effect_on_whole(record)
    alone_ms = (record.latency_ms or 0.0) * gain.value * batch_size / (record.batch_size or 1)
    if share := _share_alone(record.component, alone_ms, whole, repeats):
        bounds = (gain.value, gain.low, gain.high)
        return _interval(None if b is None else math.exp(_log_saved(b, share)) for b in bounds)
    is_slower = gain.high is not None and gain.high <= 1
    return NO_GAIN if is_slower else None


def effect_on_whole(record: Record) -> Interval | None:
    """Return the speed-up of the whole by an arm measured in its units; None for any other.

    Pooled over workloads, where the rows are: in three pairs of runs what one run says of another's
    rows has a smaller error then, and its intervals hold them as often as they should.
    """
    if record.of_whole is None:
        return None
    wholes = [record.of_whole, record.of_whole_low, record.of_whole_high]
    pooled = (record.pooled_speedup, record.pooled_low, record.pooled_high)
    share = _share_inside(record, wholes)
    if share is None or None in pooled:
        return _interval(None if value is None else 1 + value for value in wholes)
    return _interval(math.exp(_log_saved(each or 1.0, share)) for each in pooled)


def _share_inside(record: Record, wholes: Sequence[float | None]) -> float | None:
    """Return the share of the part in the whole, from the speed-ups of both; None if unknown."""
    parts = (record.speedup, record.speedup_low, record.speedup_high)
    both = [(p, w) for p, w in zip(parts, wholes, strict=True) if p is not None and w is not None]
    part, whole = max(both, key=lambda pair: abs(math.log(pair[0])), default=(1.0, 0.0))
    return min((1 - 1 / (1 + whole)) / (1 - 1 / part), 1.0) if abs(part - 1) > _LEAST else None


def _share_alone(
    component: str, alone_ms: float, whole: Record | None, repeats: Repeats
) -> float | None:
    """Return the share in the whole's time of a part by its time alone; None if unknown."""
    if whole is None or not whole.latency_ms:
        return None
    default_ms = whole.latency_ms * (1.0 if whole.is_control else whole.speedup or 1.0)
    return min(repeats(whole, component) * alone_ms / default_ms, 1.0)


def _interval(bounds: Iterable[float | None]) -> Interval:
    value, low, high = bounds
    return Interval(value or 1.0, low, high)
