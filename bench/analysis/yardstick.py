"""An arm's time beside the yardstick's, pass by pass: what a faster machine does not change."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from bench.analysis.intervals import Interval, geometric
from bench.record import Sample
from bench.row import Record

# Fewer passes have no interval.
_LEAST_PASSES = 3


def with_yardstick(record: Record, samples: Sequence[Sample]) -> Record:
    """A row with how many times longer its arm takes than the yardstick; as it was without one."""
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
