"""From the passes of all comparisons to an interval for each: passes are the replicates.

A pass is one process; its calls are correlated and it carries an effect of its own, so passes are
what gets counted. With two to five of them, the spread of one comparison's passes says little. So

1. each pass is weighted by what its pairs leave open plus what processes differ by, and the
   interval comes from the weighted spread of the passes, as in a random-effects meta-analysis with
   few studies (Hartung and Knapp 2001, "A refined method for the meta-analysis of controlled
   clinical trials with binary outcome"; Sidik and Jonkman 2002);
2. that spread is moderated by the spread of all comparisons of the run: an inverse chi-square
   prior, fitted by the moments of the logarithms (Smyth 2004, "Linear models and empirical Bayes
   methods for assessing differential expression in microarray experiments", section 6.2). A
   comparison borrows at most as many degrees of freedom as the others have, and one whose passes
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

# Before any comparison is repeated: processes differ by this (standard deviation of the logarithm),
# known to so many degrees of freedom. Both are cautious against what calibrations found.
PRIOR_SD = 0.02
_PRIOR_DEGREES = 4.0
# The noise of a comparison's pairs over all passes weighs as much as so many pairs of one pass.
_LENT_PAIRS = 12.0
# The prior's degrees of freedom are themselves estimated; their guess weighs as much as so many
# comparisons.
_GUESS_WEIGHT = 4
_LEAST_VARIANCE = 1e-12
_LEAST_RATIO = 1e-6
# Spreads that differ by rounding alone are the same.
_SAME = 1 + 1e-9
# The exponential of more is no number.
_LARGEST_LOG = 600.0
_BISECTIONS = 60
_NEWTON_STEPS = 50
_NEWTON_TOLERANCE = 1e-10
# An effect "could have been seen" where it would have been in so many of such runs.
POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """What a run knows of its machine.

    ``variance`` is that between processes (of logarithms); ``degrees`` say how alike comparisons
    are in it (few: very different); ``total_degrees`` are those of all comparisons together.
    ``tails`` are, for each, the probability of a spread as large as that of its passes, in order.
    """

    variance: float
    degrees: float
    total_degrees: float
    tails: tuple[float, ...] = ()

    def lent(self, own: float, dispersion: float) -> float:
        """Degrees of freedom that a comparison may borrow, by its own and its passes' spread.

        What counts is how much rarer its spread should be than it is among the comparisons.
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

    ``usual_error`` is the standard error that the run's spread alone leads to expect.
    """

    log_ratio: float
    standard_error: float
    degrees: float
    usual_error: float

    @property
    def interval(self) -> Interval:
        """The speed-up with its 95 % interval, by Student's t."""
        half = min(self.half_width, _LARGEST_LOG)
        low, high = self.log_ratio - half, self.log_ratio + half
        return Interval(*(math.exp(bound) for bound in (self.log_ratio, low, high)))

    @property
    def half_width(self) -> float:
        """Half of the interval of the logarithm: 0.01 means about one percent either way."""
        return self._quantile(0.5 + CONFIDENCE / 2) * self.standard_error

    @property
    def stopping_width(self) -> float:
        """The half-width to stop by: never below what is usual in the run.

        To stop as soon as one comparison's own passes happen to agree would favour intervals that
        are too narrow.
        """
        return self._quantile(0.5 + CONFIDENCE / 2) * max(self.standard_error, self.usual_error)

    @property
    def p_value(self) -> float:
        """Probability of so large a difference, either way, between identical arms."""
        return min(1.0, 2 * float(stdtr(self.degrees, -abs(self.log_ratio) / self.standard_error)))

    def p_beyond(self, bound: float) -> float:
        """Probability of so small a difference where the truth is ``bound`` or more either way.

        The larger of two one-sided tests (Schuirmann 1987).
        """
        shortfall = (bound - abs(self.log_ratio)) / self.standard_error
        return float(stdtr(self.degrees, -shortfall))

    def detectable(self, level: float) -> float:
        """The smallest relative difference that would have been found four times in five.

        ``level`` is the p-value that a difference had to stay below to be called one.
        """
        quantiles = self._quantile(1 - level / 2) + self._quantile(POWER)
        return math.expm1(min(quantiles * self.standard_error, _LARGEST_LOG))

    def widened(self, factor: float) -> "Effect":
        """The same effect with a larger standard error."""
        return replace(self, standard_error=self.standard_error * factor)

    def _quantile(self, probability: float) -> float:
        return float(stdtrit(self.degrees, probability))


def fit_spread(groups: Sequence[Sequence[PassEstimate]]) -> Spread:
    """Learn from all comparisons of a run how much its processes differ."""
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
    """Ratios and variances of passes; few pairs tell their own noise badly, so all lend theirs.

    A weight from too small a variance would be the very pass to pull the mean aside.
    """
    ratios = np.array([each.log_ratio for each in passes])
    rounds = np.array([each.rounds for each in passes])
    own = np.array([max(each.variance, _LEAST_VARIANCE) for each in passes]) * rounds
    shared = math.exp(float(np.mean(np.log(own))))
    return ratios, (rounds * own + _LENT_PAIRS * shared) / (rounds + _LENT_PAIRS) / rounds


def _scale(
    repeated: Sequence[tuple[np.ndarray, np.ndarray]], degrees: np.ndarray, variance: float
) -> tuple[float, float]:
    """Scale and degrees of freedom of the prior, were processes to differ by ``variance``.

    The scale is 1 where the passes spread as much as that variance says.
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
    """Weighted spread of passes over what is expected of it: 1 on average where all is known."""
    weights = 1 / (variance + variances)
    mean = weights @ ratios / weights.sum()
    return float(weights @ (ratios - mean) ** 2) / (len(ratios) - 1)


def _inverse_trigamma(value: float) -> float:
    """X with trigamma(x) = value > 0, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < _NEWTON_TOLERANCE:
            break
    return x
