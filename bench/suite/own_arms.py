"""Comparisons of a user's own arms, each with the first of them. No torch."""

import re
from collections.abc import Sequence
from itertools import chain, count

from bench.records.comparison import Arm, Comparison, Workload

COPY_SUFFIX = re.compile(r"#[0-9]+$")
# A control gets this share of a candidate's time: a large effect is enough to raise an alarm.
CONTROL_SHARE = 0.25


def numbered(names: Sequence[str]) -> list[str]:
    """Number the names that occur more than once: ``a.py:f``, ``a.py:f#2``."""
    found: list[str] = []
    for name in names:
        copies = (f"{COPY_SUFFIX.sub('', name)}#{number}" for number in count(2))
        found.append(next(each for each in chain([name], copies) if each not in found))
    return found


def against_first(
    names: Sequence[str],
    workload: Workload,
    *,
    precision: str,
    cache: str,
    allow_different: bool,
    weights: str,
) -> tuple[Comparison, ...]:
    """Return comparisons of each of a user's arms with the first: the control comes first."""
    baseline, *_ = arms = [Arm(factory=each, precision=precision) for each in numbered(names)]
    return tuple(
        Comparison(
            factor="factory",
            workload=workload,
            baseline=baseline,
            arm=arm,
            cache=cache,
            allow_different=allow_different,
            weights=weights,
        )
        for arm in arms
    )
