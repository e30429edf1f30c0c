"""Closure: arms A, B and C measured in the same rounds, where A/B x B/C should be A/C.

A is the baseline of the comparisons with B and with C. A run never compares B with C directly: it
takes the difference of their comparisons with A. Here the times of the same calls of B and C say
how well these agree, whatever the arms are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from bench.analysis.estimates import Interval, PassEstimate, estimate_pass
from bench.analysis.regret import interval_of, rival_of
from bench.analysis.replication import Effect, effect
from bench.analysis.spread import fit_spread
from bench.analysis.verdicts import Judgement
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.sample import Sample


class Measured(Protocol):
    """A comparison with its samples, pass by pass."""

    @property
    def comparison(self) -> Comparison:
        """The comparison."""

    @property
    def samples(self) -> Sequence[Sample]:
        """Its samples."""


_Both = tuple[Measured, Measured]


@dataclass(frozen=True)
class Difference:
    """Two arms B and C that were compared with one baseline A.

    ``interval`` is that of the time of C / that of B, as a run finds it from both comparisons;
    ``residual`` is log(A/B) + log(B/C) - log(A/C) with B/C from the times of B and C alone.
    """

    interval: Interval
    residual: float


def differences(judged: Mapping[str, Judgement], measured: Sequence[Measured]) -> list[Difference]:
    """Return the difference of any two arms of one workload that were called in the same rounds.

    ``judged`` has the judgement of each comparison by its key.
    """
    direct = [(both, passes) for both in _pairs(measured) if (passes := _direct(*both))]
    spread = fit_spread([passes for _, passes in direct])
    return [
        found
        for both, passes in direct
        if (found := _difference(*_effects(judged, both), effect(passes, spread)))
    ]


def _pairs(measured: Sequence[Measured]) -> Iterator[_Both]:
    """Yield any two arms that were compared with one baseline on one workload."""
    groups: dict[tuple[Workload, Arm], list[Measured]] = defaultdict(list)
    for each in measured:
        groups[each.comparison.workload, each.comparison.baseline].append(each)
    for group in groups.values():
        yield from combinations(group, 2)


def _direct(first: Measured, second: Measured) -> list[PassEstimate]:
    """Return the estimates of B/C of the passes in which every round called both arms."""
    others = {each.pass_index: each for each in second.samples}
    both = ((each, others.get(each.pass_index)) for each in first.samples)
    return [
        estimate_pass(one.arm_s, other.arm_s, one.disturbed, one.resolution_s, one.late)
        for one, other in both
        if other and one.arm_s and one.baseline_s == other.baseline_s
    ]


def _effects(judged: Mapping[str, Judgement], both: _Both) -> tuple[Effect, Effect]:
    first, second = (judged[each.comparison.key].effect for each in both)
    return first, second


def _difference(first: Effect, second: Effect, direct: Effect) -> Difference | None:
    interval = interval_of(rival_of("", second.interval, first.interval))
    residual = first.log_ratio + direct.log_ratio - second.log_ratio
    return Difference(interval, residual) if interval else None
