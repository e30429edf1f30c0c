"""Intervals of all comparisons of a run, with passes as replicates.

A pass is one process; its calls are correlated and it has an effect of its own, so passes count.
Each pass is weighted by its sampling variance plus the variance between processes, and the interval
comes from the weighted spread of the passes, as in a random-effects meta-analysis with few studies
(Hartung and Knapp 2001, "A refined method for the meta-analysis of controlled clinical trials with
binary outcome"; Sidik and Jonkman 2002). That spread is moderated by the spread of like comparisons
(``bench.analysis.spread``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtr, stdtrit

from bench.analysis.estimates import CONFIDENCE, Interval, PassEstimate
from bench.analysis.spread import LEAST_RATIO, Spread, arrays

# Larger logarithms overflow.
_LARGEST_LOG = 600.0
# An effect is detectable if this share of such runs would find it.
POWER = 0.8


@dataclass(frozen=True)
class Effect:
    """Logarithm of a speed-up, with its standard error and that error's degrees of freedom.

    ``usual_error`` is the standard error expected from the run's spread alone.
    """

    log_ratio: float
    standard_error: float
    degrees: float
    usual_error: float

    @property
    def interval(self) -> Interval:
        """The speed-up with its 95 % interval, by Student's t."""
        return self.bounded(CONFIDENCE)

    def bounded(self, confidence: float) -> Interval:
        """Return the speed-up with its interval of a given confidence, a share such as 0.95."""
        half = min(self._quantile(0.5 + confidence / 2) * self.standard_error, _LARGEST_LOG)
        low, high = self.log_ratio - half, self.log_ratio + half
        return Interval(*(math.exp(bound) for bound in (self.log_ratio, low, high)))

    @property
    def half_width(self) -> float:
        """Half-width of the interval of the logarithm: 0.01 is about one percent either way."""
        return self._quantile(0.5 + CONFIDENCE / 2) * self.standard_error

    @property
    def stopping_width(self) -> float:
        """Half-width for the stopping rule, never below the one usual in the run.

        Stopping as soon as the passes of one comparison happen to agree would favour intervals that
        are too narrow.
        """
        return self._quantile(0.5 + CONFIDENCE / 2) * max(self.standard_error, self.usual_error)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the difference between identical arms."""
        return min(1.0, 2 * float(stdtr(self.degrees, -abs(self.log_ratio) / self.standard_error)))

    def p_beyond(self, bound: float) -> float:
        """Return the p-value of equivalence within ``bound``: the larger of two one-sided tests.

        See Schuirmann 1987.
        """
        shortfall = (bound - abs(self.log_ratio)) / self.standard_error
        return float(stdtr(self.degrees, -shortfall))

    def detectable(self, level: float) -> float:
        """Return the smallest relative difference that POWER of such runs would find.

        ``level`` is the largest p-value of a verdict.
        """
        quantiles = self._quantile(1 - level / 2) + self._quantile(POWER)
        return math.expm1(min(quantiles * self.standard_error, _LARGEST_LOG))

    def widened(self, factor: float) -> "Effect":
        """Return the effect with its standard error multiplied by ``factor``."""
        return replace(self, standard_error=self.standard_error * factor)

    def _quantile(self, probability: float) -> float:
        return float(stdtrit(self.degrees, probability))


def effect(passes: Sequence[PassEstimate], spread: Spread) -> Effect:
    """The speed-up of one comparison over its passes. Raises ValueError for no passes."""
    if not passes:
        raise ValueError("no passes to estimate a speed-up from")
    ratios, variances = arrays(passes)
    weights = 1 / (spread.variance + variances)
    mean = float(weights @ ratios / weights.sum())
    own = len(passes) - 1.0
    # Passes that agree to the last digit, by a coarse clock, are not sure beyond all doubt.
    squares = max(float(weights @ (ratios - mean) ** 2), LEAST_RATIO * own)
    borrowed = spread.lent(own, squares / own if own else 1.0)
    usual = math.sqrt(1 / float(weights.sum()))
    scale = (borrowed + squares) / (borrowed + own)
    return Effect(mean, math.sqrt(scale) * usual, borrowed + own, usual)
