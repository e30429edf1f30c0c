"""What one pass says of one comparison: a ratio, how sure it is, and whether arms were steady."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A positive estimate with its 95 % interval; the bounds are None where one pass is all."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        inside = self.low is None or self.high is None or self.low <= self.value <= self.high
        if not (self.value > 0 and inside):
            raise ValueError(f"{self} is no interval: expected 0 < low <= value <= high")

    def scaled(self, factor: float) -> "Interval":
        """The same interval in another unit."""
        bounds = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Interval(self.value * factor, *bounds)


def geometric(log_values: Sequence[float]) -> Interval:
    """Geometric mean of one value a pass, with Student's t interval of the logarithms.

    A pass is one process and its calls are correlated, so passes are counted, not calls: with n
    passes the interval has n - 1 degrees of freedom (Student 1908, "The Probable Error of a
    Mean"). Raises ValueError for no values.
    """
    if not log_values:
        raise ValueError("no passes to take a mean of")
    mean = float(np.mean(log_values))
    passes = len(log_values)
    if passes == 1:
        return Interval(math.exp(mean))
    quantile = float(stdtrit(passes - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * float(np.std(log_values, ddof=1)) / math.sqrt(passes)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


Floats = NDArray[np.float64]

# Scale of the median absolute deviation to the standard deviation of a normal distribution.
_MAD_TO_SD = 1.4826
# Variance of a median over that of a mean, both of normal values.
_MEDIAN_PENALTY = math.pi / 2
# Disturbed pairs are left out of a pass where the calm ones are at least so many, and half of all.
_LEAST_CALM = 6
# With fewer pairs than these, their spread says nothing.
_LEAST_SPREAD = 4
# A steady arm's calls do not get faster: by more than this from the first third to the last, and
# with less than this probability by chance.
TREND = 0.03
TREND_P = 0.01
_LEAST_TREND = 9
_MOST_TREND = 400


@dataclass(frozen=True)
class PassEstimate:
    """Logarithm of baseline time / arm time in one process.

    ``variance`` is what the pairs' own noise leaves open, without what differs between processes;
    ``rounds`` are the pairs it rests on, ``left_out`` the disturbed ones that it does not.
    """

    log_ratio: float
    variance: float
    rounds: int
    left_out: int = 0


def estimate_pass(
    baseline_s: Sequence[float],
    arm_s: Sequence[float],
    disturbed: Sequence[int] = (),
    resolution_s: float = 0.0,
) -> PassEstimate:
    """Estimate the ratio of one pass from its alternating pairs.

    Robust to single disturbed pairs: a median. It is taken apart for the pairs in which the
    baseline went first (those of even index) and those in which the arm did, and the two are
    averaged, so that what going second costs cancels. ``disturbed`` pairs are left out where at
    least half of the pairs, six or more, were calm. The variance is that of a median of normal
    values with the spread of the pairs (by the median absolute deviation), enlarged for the
    correlation of neighbouring pairs by (1 + r) / (1 - r), r at lag one, and what the steps of the
    clock, ``resolution_s``, leave open. Raises ValueError where
    the two have unequal lengths or none.
    """
    if len(baseline_s) != len(arm_s) or not arm_s:
        raise ValueError(f"{len(baseline_s)} baseline and {len(arm_s)} arm times make no pairs")
    ratios = np.log(np.asarray(baseline_s)) - np.log(np.asarray(arm_s))
    kept = _calm(len(ratios), disturbed)
    orders = [half for half in (kept[kept % 2 == 0], kept[kept % 2 == 1]) if half.size]
    medians = [float(np.median(ratios[half])) for half in orders]
    residuals = ratios.copy()
    for half, median in zip(orders, medians, strict=True):
        residuals[half] -= median
    return PassEstimate(
        log_ratio=float(np.mean(medians)),
        variance=_variance(residuals[kept], float(np.ptp(ratios[kept])))
        + _rounding(arm_s, resolution_s),
        rounds=len(kept),
        left_out=len(ratios) - len(kept),
    )


def _calm(rounds: int, disturbed: Sequence[int]) -> NDArray[np.int64]:
    """Indices of the pairs to use; all of them where too few were calm in either order."""
    everything = np.arange(rounds)
    calm = np.setdiff1d(everything, np.asarray(disturbed, dtype=np.int64))
    enough = len(calm) >= max(_LEAST_CALM, rounds / 2)
    return calm if enough and len(set((calm % 2).tolist())) > 1 else everything


def _variance(residuals: Floats, spread: float) -> float:
    """Variance of the estimate from the pairs' residuals; their whole spread where too few."""
    count = len(residuals)
    if count < _LEAST_SPREAD:
        return spread**2
    # Two medians were fitted, so that the residuals are too small.
    sd = _MAD_TO_SD * float(np.median(np.abs(residuals))) * math.sqrt(count / (count - 2))
    return _MEDIAN_PENALTY * sd**2 / count * min(_inflation(residuals, sd), count / 2)


def _rounding(times_s: Sequence[float], resolution_s: float) -> float:
    """Variance of a ratio of two times that the clock tells in steps: uniform within a step each.

    All calls of a pass may fall on the same step, so their number does not help.
    """
    return 2 * (resolution_s / float(np.median(times_s))) ** 2 / 12 if resolution_s else 0.0


def _inflation(residuals: Floats, sd: float) -> float:
    """By how much correlation of neighbouring pairs enlarges a mean's variance."""
    clipped = np.clip(residuals, -3 * sd, 3 * sd)
    power = float(clipped @ clipped)
    correlation = float(clipped[1:] @ clipped[:-1]) / power if power > 0 else 0.0
    bounded = min(max(correlation, 0.0), 0.9)
    return (1 + bounded) / (1 - bounded)


def is_trending(times_s: Sequence[float], partner_s: Sequence[float]) -> bool:
    """Whether an arm was still getting faster while it was measured: its warm-up had not ended.

    Its times must fall by Mann and Kendall's test (Mann 1945), and fall against its partner's in
    the same pairs too: what both arms go through is the machine's and cancels in the ratio. Short
    series say nothing.
    """
    if len(times_s) < _LEAST_TREND:
        return False
    own = np.log(np.asarray(times_s))
    against = own - np.log(np.asarray(partner_s))
    return all(_falls(series) for series in (own, against))


def _falls(series: Floats) -> bool:
    third = len(series) // 3
    fall = float(np.median(series[:third]) - np.median(series[-third:]))
    return fall > TREND and kendall_p(series) < TREND_P


def kendall_p(series: Floats) -> float:
    """Probability of a fall like this by chance, one-sided, by Mann and Kendall's test."""
    # All pairs of thousands would take seconds and tell no more.
    series = series[:: 1 + len(series) // _MOST_TREND]
    count = len(series)
    later, earlier = np.tril_indices(count, -1)
    score = float(np.sign(series[later] - series[earlier]).sum())
    sd = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return float(ndtr((score + 1) / sd))
