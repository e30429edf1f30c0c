"""Times in a row: latency, throughput, and what an arm changes of the whole model."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench.analysis.estimates import Interval, geometric
from bench.analysis.uneven_load import is_withheld, usable
from bench.analysis.verdicts import Judgement
from bench.records.comparison import Comparison
from bench.records.sample import Sample

# Minimum passes for an interval of latency: other comparisons say nothing about its spread.
_LEAST_SPREAD = 3


def times_of(
    comparison: Comparison, measured: list[Sample], judgement: Judgement | None
) -> dict[str, Any]:
    """Return the times of a row's arm, and its images per second."""
    latency = _latency(comparison, measured, judgement).scaled(1e3)
    walled = [sample for sample in measured if sample.arm_wall_s]
    wall = _median_time(walled, lambda sample: sample.arm_wall_s).scaled(1e3) if walled else None
    queued = [sample.arm_queued_s for sample in measured if sample.arm_queued_s is not None]
    call_s = statistics.median(queued) if queued else latency.value / 1e3
    batch_size = comparison.workload.batch_size
    return {
        "latency_ms": latency.value,
        "latency_low_ms": latency.low,
        "latency_high_ms": latency.high,
        "wall_ms": wall.value if wall else None,
        "images_per_s": batch_size / call_s if batch_size else None,
    }


def _latency(
    comparison: Comparison, measured: list[Sample], judgement: Judgement | None
) -> Interval:
    """Return the seconds of one call.

    In rounds that several arms share, it is the baseline's time / the speed-up, so that all numbers
    of a row, and of the rows beside it, come from the same observations.
    """
    if judgement is None or any(sample.group is None for sample in measured):
        return _median_time(measured, lambda sample: sample.arm_s)
    baseline = _median_time(measured, lambda sample: sample.baseline_s)
    is_control = comparison.is_control
    return baseline.scaled(1.0 if is_control else math.exp(-judgement.effect.log_ratio))


def effect_of_whole(
    comparison: Comparison, samples: Sequence[Sample], judgement: Judgement
) -> dict[str, Any]:
    """Return what an arm changes of the whole model, from the share of its part in that time.

    Empty for a part that was measured alone, whose share is unknown, and under load that does not
    cancel.
    """
    measured = usable(samples)
    share, speedup = _share(comparison, measured), judgement.effect.interval
    if share is None or is_withheld(samples):
        return {}
    bounds = [
        None if bound is None else change_of_whole(share, bound)
        for bound in (speedup.value, speedup.low, speedup.high)
    ]
    wholes_s = [sample.whole_s for sample in measured if sample.whole_s]
    return {
        "of_whole": bounds[0],
        "of_whole_low": bounds[1],
        "of_whole_high": bounds[2],
        "whole_ms": 1e3 * statistics.median(wholes_s) if wholes_s else None,
    }


def change_of_whole(share: float, speedup: float) -> float:
    """Return how much faster a whole becomes, 0.01 is 1 %, where a share of its time is sped up."""
    return 1 / (1 - share + share / speedup) - 1


def _share(comparison: Comparison, measured: Sequence[Sample]) -> float | None:
    """Return the share of the baseline's part, all instances of it, in the model's time."""
    workload = comparison.workload
    if workload.variant is None:
        return None
    if not comparison.is_inside:
        return 1.0 if workload.component in ("block", "model") else None
    return median_share(measured)


def median_share(samples: Sequence[Sample]) -> float | None:
    """Return the median share of the baseline's part over passes; None if measured alone."""
    shares = [sample.share for sample in samples if sample.share is not None]
    return statistics.median(shares) if shares else None


def _median_time(samples: Sequence[Sample], times: Callable[[Sample], Sequence[float]]) -> Interval:
    found = geometric([math.log(statistics.median(times(sample))) for sample in samples])
    # Two values are too few for an interval.
    return found if len(samples) >= _LEAST_SPREAD else Interval(found.value)
