"""Intervals of all comparisons of a run, with passes as replicates.

A pass is one process; its calls are correlated and it has an effect of its own, so passes count.
Two to five passes of one comparison give a poor estimate of their spread. Therefore

1. each pass is weighted by its sampling variance plus the variance between processes, and the
   interval comes from the weighted spread of the passes, as in a random-effects meta-analysis with
   few studies (Hartung and Knapp 2001, "A refined method for the meta-analysis of controlled
   clinical trials with binary outcome"; Sidik and Jonkman 2002);
2. that spread is moderated by the spread of all comparisons of the run: an inverse chi-square
   prior, fitted by the moments of the logarithms (Smyth 2004, "Linear models and empirical Bayes
   methods for assessing differential expression in microarray experiments", section 6.2). A
   comparison borrows at most the degrees of freedom of the others, and one whose passes
   spread further than the prior explains borrows fewer, down to none (Phipson et al. 2016, "Robust
   hyperparameter estimation protects against hypervariable genes").
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, fdtrc, polygamma, stdtr, stdtrit

from bench.analysis.estimates import CONFIDENCE, Interval, PassEstimate

# Prior without repeated comparisons: standard deviation between processes (of the logarithm) and
# its degrees of freedom. Both are cautious beside the values that calibrations found.
PRIOR_SD = 0.02
_PRIOR_DEGREES = 4.0
# Weight of a comparison's noise over all passes, in pairs of one pass.
_LENT_PAIRS = 12.0
# Weight of the guessed degrees of freedom of the prior, in comparisons.
_GUESS_WEIGHT = 4
_LEAST_VARIANCE = 1e-12
_LEAST_RATIO = 1e-6
# Tolerance of spreads that differ only by rounding.
_SAME = 1 + 1e-9
# Larger logarithms overflow.
_LARGEST_LOG = 600.0
_BISECTIONS = 60
_NEWTON_STEPS = 50
_NEWTON_TOLERANCE = 1e-10
# An effect is detectable if this share of such runs would find it.
POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """Variance between processes, learned from all comparisons of a run.

    ``variance`` is that of logarithms; ``degrees`` are the prior's degrees of freedom (few:
    comparisons differ widely), ``total_degrees`` those of all comparisons together. ``tails`` are
    the sorted probabilities of a spread as large as that of each comparison's passes.
    """

    variance: float
    degrees: float
    total_degrees: float
    tails: tuple[float, ...] = ()

    def lent(self, own: float, dispersion: float) -> float:
        """Return the degrees of freedom that a comparison may borrow.

        ``own`` are its own, ``dispersion`` is the spread of its passes. The loan shrinks by the
        probability of that spread under the prior / the share of comparisons with such a spread.
        """
        borrowed = min(self.degrees, max(self.total_degrees - own, 0.0))
        if not self.tails or not own:
            return borrowed
        tail = float(fdtrc(own, self.degrees, dispersion))
        as_rare = max(bisect_right(self.tails, tail * _SAME) - 0.5, 0.5) / len(self.tails)
        return borrowed * min(1.0, tail / as_rare)


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


def fit_spread(groups: Sequence[Sequence[PassEstimate]]) -> Spread:
    """Fit the variance between processes to all comparisons of a run."""
    repeated = [_arrays(group) for group in groups if len(group) > 1]
    degrees = np.array([len(ratios) - 1.0 for ratios, _ in repeated])
    if not repeated:
        return Spread(PRIOR_SD**2, _PRIOR_DEGREES, math.inf)
    low, high = _LEAST_VARIANCE, 1.0
    if _scale(repeated, degrees, low)[0] > 1:
        for _ in range(_BISECTIONS):
            middle = math.sqrt(low * high)
            above = _scale(repeated, degrees, middle)[0] > 1
            low, high = (middle, high) if above else (low, middle)
    prior = _scale(repeated, degrees, low)[1]
    dispersions = np.array([_dispersion(*arrays, low) for arrays in repeated])
    tails = sorted(float(tail) for tail in fdtrc(degrees, prior, dispersions))
    return Spread(low, prior, float(degrees.sum()), tuple(tails))


def effect(passes: Sequence[PassEstimate], spread: Spread) -> Effect:
    """The speed-up of one comparison over its passes. Raises ValueError for no passes."""
    if not passes:
        raise ValueError("no passes to estimate a speed-up from")
    ratios, variances = _arrays(passes)
    weights = 1 / (spread.variance + variances)
    mean = float(weights @ ratios / weights.sum())
    own = len(passes) - 1.0
    # Passes that agree to the last digit, by a coarse clock, are not sure beyond all doubt.
    squares = max(float(weights @ (ratios - mean) ** 2), _LEAST_RATIO * own)
    borrowed = spread.lent(own, squares / own if own else 1.0)
    usual = math.sqrt(1 / float(weights.sum()))
    scale = (borrowed + squares) / (borrowed + own)
    return Effect(mean, math.sqrt(scale) * usual, borrowed + own, usual)


def _arrays(passes: Sequence[PassEstimate]) -> tuple[np.ndarray, np.ndarray]:
    """Ratios and variances of passes; few pairs estimate their noise badly, so it is pooled.

    A pass whose variance is underestimated would dominate the mean.
    """
    ratios = np.array([each.log_ratio for each in passes])
    rounds = np.array([each.rounds for each in passes])
    own = np.array([max(each.variance, _LEAST_VARIANCE) for each in passes]) * rounds
    shared = math.exp(float(np.mean(np.log(own))))
    return ratios, (rounds * own + _LENT_PAIRS * shared) / (rounds + _LENT_PAIRS) / rounds


def _scale(
    repeated: Sequence[tuple[np.ndarray, np.ndarray]], degrees: np.ndarray, variance: float
) -> tuple[float, float]:
    """Return scale and degrees of freedom of the prior for a variance between processes.

    The scale is 1 if the passes spread as much as that variance predicts.
    """
    ratios = np.array([_dispersion(*arrays, variance) for arrays in repeated])
    logs = np.log(np.maximum(ratios, _LEAST_RATIO)) - digamma(degrees / 2) + np.log(degrees / 2)
    sampling = float(polygamma(1, degrees / 2).mean())
    excess = max(float(logs.var(ddof=1)) - sampling, 0.0) if len(logs) > 1 else 0.0
    guess = float(polygamma(1, _PRIOR_DEGREES / 2))
    count = len(logs) - 1
    prior = 2 * _inverse_trigamma(
        (count * excess + _GUESS_WEIGHT * guess) / (count + _GUESS_WEIGHT)
    )
    scale = math.exp(float(logs.mean()) + float(digamma(prior / 2)) - math.log(prior / 2))
    return scale, prior


def _dispersion(ratios: np.ndarray, variances: np.ndarray, variance: float) -> float:
    """Return the weighted spread of passes / its expected value: 1 on average."""
    weights = 1 / (variance + variances)
    mean = weights @ ratios / weights.sum()
    return float(weights @ (ratios - mean) ** 2) / (len(ratios) - 1)


def _inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value > 0, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < _NEWTON_TOLERANCE:
            break
    return x
