"""What the effects of a run allow to be said: verdicts, checked by controls, and how many may err.

Three guards stand between an interval and a verdict:

1. The controls, baselines against their own copies, have a known answer. Where they stray further
   than their intervals allow, every standard error is multiplied by how far: the Birge ratio
   (Birge 1932), from negative controls as in empirical calibration (Schuemie et al. 2014). Where
   they stray beyond reason, no verdict is given.
2. A run of many comparisons would find differences by chance: p-values are adjusted for the share
   of false discoveries among the verdicts (Benjamini and Hochberg 1995), which also holds for
   comparisons that err together in one direction, and for the direction of a difference.
3. A difference within ``delta`` is ``equivalent``: too small to choose by, whatever its p-value.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtri

from bench.analysis.estimates import Interval
from bench.analysis.replication import Effect
from bench.records.comparison import DELTA

# Of the verdicts of a run this share may be false.
FALSE_SHARE = 0.02
# Controls that stray with less probability than this are no chance.
_STRAY_P = 0.05
# Intervals that would have to be widened by more are not to be mended.
WITHHELD_BEYOND = 3.0


@dataclass(frozen=True)
class Controls:
    """What baselines against their own copies say of the run they were measured in.

    ``strayed`` of ``count`` were called different; ``widening`` is the factor by which intervals
    were widened for it (1: the controls are as close to 1 as their intervals say).
    """

    count: int
    strayed: int
    widening: float

    @property
    def withheld(self) -> bool:
        """Whether the controls stray so far that no verdict can be given."""
        return self.widening > WITHHELD_BEYOND


@dataclass(frozen=True)
class Judgement:
    """What is said of one comparison.

    ``detectable`` is the smallest relative difference that would have been called one, four times
    in five.
    """

    effect: Effect
    verdict: str
    p_value: float
    detectable: float


def adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted after Benjamini and Hochberg (1995): below q, a share of q is false.

    ``scipy.stats.false_discovery_control`` is the same, but its import takes longer than a report.
    """
    order = np.argsort(p_values)[::-1]
    count, lowest, result = len(p_values), 1.0, [1.0] * len(p_values)
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * count / (count - place))
        result[index] = lowest
    return result


def verdict(
    speedup: Interval, delta: float = DELTA, *, differs: bool = True, agrees: bool = True
) -> str:
    """``faster``, ``slower``, ``equivalent`` (the interval is within 1 ± delta) or ``undecided``.

    An interval that lies within the band is ``equivalent`` even where it excludes 1. ``differs``
    and ``agrees`` say whether a difference, or its absence, outlasts the adjustment for many
    comparisons. Without bounds nothing is decided.
    """
    if speedup.low is None or speedup.high is None:
        return "undecided"
    if speedup.low >= 1 / (1 + delta) and speedup.high <= 1 + delta:
        return "equivalent" if agrees else "undecided"
    if differs and speedup.low > 1:
        return "faster"
    if differs and speedup.high < 1:
        return "slower"
    return "undecided"


def check_controls(effects: Sequence[Effect], delta: float = DELTA) -> Controls:
    """See whether comparisons of identical arms stay as close to 1 as their intervals say.

    The sum of squares of their normal scores is chi-square distributed where they do.
    """
    said = [verdict(each.interval, delta, differs=each.p_value <= FALSE_SHARE) for each in effects]
    strayed = sum(each in ("faster", "slower") for each in said)
    squares = [float(ndtri(max(each.p_value, 1e-300) / 2)) ** 2 for each in effects]
    total, count = math.fsum(squares), len(effects)
    surprising = count > 0 and float(chdtrc(count, total)) < _STRAY_P
    return Controls(count, strayed, math.sqrt(total / count) if surprising else 1.0)


def judge(
    effects: Mapping[str, Effect], controls: Controls, delta: float = DELTA
) -> dict[str, Judgement]:
    """A verdict for each of a family of comparisons, with p-values adjusted for their number."""
    widened = {key: each.widened(controls.widening) for key, each in effects.items()}
    different = adjusted([each.p_value for each in widened.values()])
    alike = adjusted([each.p_beyond(math.log1p(delta)) for each in widened.values()])
    # Benjamini and Hochberg's bar for the last difference that is called one.
    found = sum(p_value <= FALSE_SHARE for p_value in different)
    bar = FALSE_SHARE * max(found, 1) / max(len(different), 1)
    judged = {}
    for (key, each), p_differs, p_agrees in zip(widened.items(), different, alike, strict=True):
        said = verdict(
            each.interval,
            delta,
            differs=p_differs <= FALSE_SHARE,
            agrees=p_agrees <= FALSE_SHARE,
        )
        judged[key] = Judgement(
            effect=each,
            verdict="undecided" if controls.withheld else said,
            p_value=p_differs,
            detectable=max(each.detectable(bar), delta),
        )
    return judged
