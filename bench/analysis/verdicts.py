"""Verdicts from effects, checked against controls and adjusted for multiple comparisons.

Three guards separate an interval from a verdict:

1. The controls, baselines against their own copies, have a known answer. By how far they stray
   every standard error is multiplied, as by the Birge ratio (Birge 1932) and from negative controls
   as in empirical calibration (Schuemie et al. 2014), but shrunk: few controls prove little. If
   that factor exceeds WITHHELD_BEYOND, the run gets no verdicts.
2. Many comparisons find differences by chance: p-values are adjusted to control the false discovery
   rate of the verdicts (Benjamini and Hochberg 1995). It is proved for independent comparisons and
   for some that depend on each other (Benjamini and Yekutieli 2001); that it holds for those of a
   run, which share an estimate of their spread, is shown by simulation.
3. A difference within ``delta`` is ``equivalent``: too small to choose by, whatever its p-value.
   That takes two one-sided tests at 5 % each (Schuirmann 1987), or a 90 % interval within the band,
   adjusted in the family of the comparisons that are not called different.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bench.analysis.estimates import Interval
from bench.analysis.looks import level
from bench.analysis.replication import Effect
from bench.records.comparison import DELTA

# False discovery rate of the differences of a run, and of its equivalences.
FALSE_SHARE = 0.02
ALIKE_SHARE = 0.05
_DIFFERENT = ("faster", "slower")
# Share of these errors that may be spent on leaving out what is decided before a run ends.
_DOUBT = 0.05
# Weight, in controls, of the trust that intervals are as wide as they should be: the degrees of
# freedom of an inverse chi-square prior of the squared widening. Root mean square scores of 0.65,
# 1.27, 1.33 and 1.47 were found where answers were known (controls of runs, candidates of two like
# runs, a calibration, candidates of unlike runs); their logarithms scatter by 0.33, as those of the
# prior's square root do with 6 degrees of freedom.
_TRUST = 6.0
# Beyond this widening factor a run gets no verdicts.
WITHHELD_BEYOND = 3.0


@dataclass(frozen=True)
class Controls:
    """Result of a run's controls: baselines against their own copies.

    ``strayed`` of ``count`` were called different; ``widening`` is the factor by which all
    intervals were widened (1: the controls are at least as close to 1 as their intervals predict).
    """

    count: int
    strayed: int
    widening: float

    @property
    def withheld(self) -> bool:
        """Whether the controls stray too far for any verdict."""
        return self.widening > WITHHELD_BEYOND


@dataclass(frozen=True)
class Judgement:
    """Verdict of one comparison.

    ``p_value`` is adjusted; ``detectable`` is the smallest relative difference that four of five
    such runs would find.
    """

    effect: Effect
    verdict: str
    p_value: float
    detectable: float


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted after Benjamini and Hochberg (1995): below q, a share of q is false.

    ``scipy.stats.false_discovery_control`` does the same, but importing it is slower than a report.
    """
    order = np.argsort(p_values)[::-1]
    count, lowest, result = len(p_values), 1.0, [1.0] * len(p_values)
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * count / (count - place))
        result[index] = lowest
    return result


def verdict(
    speedup: Interval,
    delta: float = DELTA,
    *,
    narrow: Interval | None = None,
    differs: bool = True,
    agrees: bool = True,
) -> str:
    """``faster``, ``slower``, ``equivalent`` (``narrow`` is within 1 ± delta) or ``undecided``.

    ``speedup`` has the 95 % interval, ``narrow`` the 90 % one of two one-sided tests at 5 %, for
    which the 95 % interval stands in. An interval within the band is ``equivalent`` even if it
    excludes 1. ``differs`` and ``agrees`` are whether a difference, or its absence, is significant
    after the adjustment for multiple comparisons. Without bounds the verdict is ``undecided``.
    """
    inner = narrow or speedup
    if speedup.low is None or speedup.high is None or inner.low is None or inner.high is None:
        return "undecided"
    if inner.low >= 1 / (1 + delta) and inner.high <= 1 + delta:
        return "equivalent" if agrees else "undecided"
    if differs and speedup.low > 1:
        return "faster"
    if differs and speedup.high < 1:
        return "slower"
    return "undecided"


def _verdict(found: Effect, delta: float, *, differs: bool) -> str:
    narrow = found.bounded(1 - 2 * ALIKE_SHARE)
    return verdict(found.interval, delta, narrow=narrow, differs=differs)


def decided(found: Effect, delta: float, looks: int) -> bool:
    """Return whether an effect is faster, slower or equivalent beyond doubt after some looks.

    Such a comparison need not be measured again: the error of this answer over all looks is a
    ``_DOUBT`` share of the one that verdicts are held to, however many looks there are
    (``bench.analysis.looks``). ``looks`` counts those so far, this one included.
    """
    differs, alike = (level(looks, _DOUBT * share) for share in (FALSE_SHARE, 2 * ALIKE_SHARE))
    outer, narrow = found.bounded(1 - differs), found.bounded(1 - alike)
    return verdict(outer, delta, narrow=narrow) != "undecided"


def check_controls(effects: Sequence[Effect], delta: float = DELTA) -> Controls:
    """Check whether comparisons of identical arms stay as close to 1 as their intervals predict.

    The widening is the root of the mean of their squared normal scores and of ``_TRUST`` ones. It
    is continuous, and never below 1: calm copies do not show that candidates are.
    """
    verdicts = [_verdict(each, delta, differs=each.p_value <= FALSE_SHARE) for each in effects]
    strayed = sum(each in _DIFFERENT for each in verdicts)
    squares = [float(ndtri(max(each.p_value, 1e-300) / 2)) ** 2 for each in effects]
    mean = (_TRUST + math.fsum(squares)) / (_TRUST + len(effects))
    return Controls(len(effects), strayed, max(math.sqrt(mean), 1.0))


def judge(
    effects: Mapping[str, Effect], controls: Controls, delta: float = DELTA
) -> dict[str, Judgement]:
    """Return a verdict for each comparison of a family, with p-values adjusted for its size."""
    widened = {key: each.widened(controls.widening) for key, each in effects.items()}
    different = adjusted([each.p_value for each in widened.values()])
    # Largest p-value that Benjamini and Hochberg's procedure accepts.
    found = sum(p_value <= FALSE_SHARE for p_value in different)
    bar = FALSE_SHARE * max(found, 1) / max(len(different), 1)
    said = {
        key: _verdict(each, delta, differs=p_value <= FALSE_SHARE)
        for (key, each), p_value in zip(widened.items(), different, strict=True)
    }
    decided = said | _alike(widened, said, delta)
    return {
        key: Judgement(
            effect=each,
            verdict="undecided" if controls.withheld else decided[key],
            p_value=p_value,
            detectable=max(each.detectable(bar), delta),
        )
        for (key, each), p_value in zip(widened.items(), different, strict=True)
    }


def _alike(effects: Mapping[str, Effect], said: Mapping[str, str], delta: float) -> dict[str, str]:
    """Return the verdicts of the comparisons not called different: equivalent or undecided.

    The p-values of the tests of equivalence are adjusted for the number of these, and of those
    called different by less than ``delta``: to leave these out, too, would be to choose the family
    by how well it passes the test. At most 10 % are false then, even if all are at the band's edge
    (Zhao, Small and Su 2019, "Multiple testing when many p-values are uniformly conservative").
    """
    bound = math.log1p(delta)
    family = [
        key
        for key, name in said.items()
        if name not in _DIFFERENT or abs(effects[key].log_ratio) <= bound
    ]
    alike = adjusted([effects[key].p_beyond(bound) for key in family])
    return {
        key: "equivalent" if p_value <= ALIKE_SHARE else "undecided"
        for key, p_value in zip(family, alike, strict=True)
        if said[key] not in _DIFFERENT
    }
