"""Times of parts inside a model: from its calls to the pairs of a comparison."""

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np

from bench.analysis.local_level import without_level
from bench.arms.mixed_model import BLOCK, PATCHER, CallTimes
from bench.records.comparison import Comparison
from bench.worker.group_session import BASELINE, name_in_group

# The number of a pair's call, and the seconds of baseline and arm.
NumberedPair = tuple[int, tuple[float, float]]


def levelled(calls: Sequence[CallTimes]) -> list[CallTimes]:
    """Return calls whose blocks have the times that they would have had at the machine's median.

    Patchers keep theirs: they are called one after the other at the start of a call.
    """
    spans = [
        (number, place, span)
        for number, call in enumerate(calls)
        for place, span in enumerate(call.spans)
        if span.place != PATCHER
    ]
    kinds = {key: number for number, key in enumerate({(s.place, s.arm) for *_, s in spans})}
    log_times = without_level(
        np.log([span.seconds for *_, span in spans]),
        np.array([kinds[span.place, span.arm] for *_, span in spans], dtype=np.int64),
        np.array([number for number, *_ in spans], dtype=np.int64),
    )
    found = [list(call.spans) for call in calls]
    for (number, place, span), log_time in zip(spans, log_times, strict=True):
        found[number][place] = replace(span, seconds=math.exp(log_time))
    return [replace(call, spans=tuple(own)) for call, own in zip(calls, found, strict=True)]


def pairs_of(calls: Sequence[CallTimes], comparison: Comparison) -> Iterator[NumberedPair]:
    """Yield the times of baseline and arm, call by call, as many pairs as both have times.

    Of the one with more times neighbours are averaged (geometric mean).
    """
    place, name = comparison.workload.component, name_in_group(comparison)
    for number, call in enumerate(calls):
        both = (call.parts_s.get((place, BASELINE), ()), call.parts_s.get((place, name), ()))
        count = min(map(len, both))
        for pair in zip(*(_means(times_s, count) for times_s in both), strict=True):
            yield number, pair


def _means(times_s: Sequence[float], count: int) -> list[float]:
    """Return ``count`` geometric means of neighbours."""
    if not count:
        return []
    return [math.exp(fmean(part)) for part in np.array_split(np.log(times_s), count)]


def places_of(calls: Iterable[int], marked: Container[int]) -> tuple[int, ...]:
    """Return the indices of the pairs whose calls are marked, from the numbers of their calls."""
    return tuple(place for place, number in enumerate(calls) if number in marked)


def whole_s(calls: Sequence[CallTimes], depth: int) -> float | None:
    """Return the seconds of a whole model with the baseline, from its parts in these calls."""
    blocks = [s for call in calls for s in call.parts_s.get((BLOCK, BASELINE), ())]
    if not blocks:
        return None
    patchers = [s for call in calls for s in call.parts_s.get((PATCHER, BASELINE), ())]
    rest_s = median(call.rest_s for call in calls)
    return rest_s + (median(patchers) if patchers else 0.0) + depth * median(blocks)
