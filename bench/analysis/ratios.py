"""Ratios over passes besides the speed-up: throughput, and an arm's time / the yardstick's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from bench.analysis.estimates import Interval, geometric
from bench.records.comparison import Comparison
from bench.records.row import Record
from bench.records.sample import Sample

# Fewer passes give no interval: these ratios borrow no spread from other comparisons.
_LEAST_PASSES = 3


def with_yardstick(record: Record, samples: Sequence[Sample]) -> Record:
    """Return the row with its arm's time / the yardstick's, unchanged without a yardstick."""
    both = [(each.arm_s, each.yardstick_s) for each in samples if each.arm_s and each.yardstick_s]
    if not both:
        return record
    logs = [math.log(median(arm_s) / (stick_s or 1.0)) for arm_s, stick_s in both]
    found = geometric(logs)
    if len(both) < _LEAST_PASSES:
        found = Interval(found.value)
    return replace(
        record,
        yardstick_ms=1e3 * median(stick_s or 0.0 for _, stick_s in both),
        yardstick_ratio=found.value,
        yardstick_low=found.low,
        yardstick_high=found.high,
    )


def throughput_ratio(baseline: Sequence[Sample], arm: Sequence[Sample]) -> Interval | None:
    """Return the baseline's queued seconds per call / the arm's over passes; None without a queue.

    ``baseline`` are the samples of the control, whose arm is a copy of the baseline.
    """
    before = {each.pass_index: each.arm_queued_s for each in baseline}
    logs = [
        math.log(before_s / each.arm_queued_s)
        for each in arm
        if each.arm_queued_s and (before_s := before.get(each.pass_index))
    ]
    if not logs:
        return None
    found = geometric(logs)
    return found if len(logs) >= _LEAST_PASSES else Interval(found.value)


def control_key(comparison: Comparison) -> str:
    """Return the key of the control of a comparison's baseline."""
    return replace(comparison, arm=comparison.baseline).key


def with_throughput(
    record: Record, comparison: Comparison, by_key: Mapping[str, Sequence[Sample]]
) -> Record:
    """Return the row with its arm's throughput ratio, from the samples of the run."""
    baseline, arm = (by_key.get(key, ()) for key in (control_key(comparison), comparison.key))
    found = throughput_ratio(baseline, arm)
    if found is None:
        return record
    return replace(
        record,
        throughput_ratio=found.value,
        throughput_low=found.low,
        throughput_high=found.high,
    )
