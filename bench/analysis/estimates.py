"""Estimates of one pass: the ratio of two arms and its variance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

CONFIDENCE = 0.95
Floats = NDArray[np.float64]
# Standard deviation of a normal distribution / its median absolute deviation.
_MAD_TO_SD = 1.4826
# Variance of a median / variance of a mean, both of normal values.
_MEDIAN_PENALTY = math.pi / 2
# Disturbed pairs are left out if at least this number of pairs, and half of all, are calm.
_LEAST_CALM = 6
# Fewer pairs give no usable spread.
_LEAST_SPREAD = 4
# The most blocks of consecutive pairs whose spread is that of one process.
_MOST_BLOCKS = 10
# Logarithm of the variance of an estimate / the geometric mean of the variances claimed for it, for
# 4 to 11 normal, independent pairs; 0 within 0.1 for more. Found by simulation, as in
# tests/bench/analysis/test_estimates.py, since known corrections (Croux and Rousseeuw 1992) are for
# deviations from one median, not from one for each order.
_LOG_BIAS = (-0.60, 0.40, 0.65, 0.53, 0.11, 0.20, 0.16, 0.13)


@dataclass(frozen=True)
class Interval:
    """A positive estimate with its 95 % interval; the bounds are None for a single pass."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        inside = self.low is None or self.high is None or self.low <= self.value <= self.high
        if not (self.value > 0 and inside):
            raise ValueError(f"{self} is not an interval: expected 0 < low <= value <= high")

    def scaled(self, factor: float) -> "Interval":
        """Return the interval in another unit: value and bounds multiplied by ``factor``."""
        bounds = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Interval(self.value * factor, *bounds)


def geometric(log_values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the geometric mean of one value per pass, with Student's t interval of the logarithms.

    ``confidence`` is the interval's, a share. A pass is one process and its calls are correlated,
    so passes count, not calls: with n passes the interval has n - 1 degrees of freedom (Student
    1908, "The Probable Error of a Mean"). Raises ValueError for no values.
    """
    if not log_values:
        raise ValueError("no passes to take a mean of")
    mean = float(np.mean(log_values))
    passes = len(log_values)
    if passes == 1:
        return Interval(math.exp(mean))
    quantile = float(stdtrit(passes - 1, 0.5 + confidence / 2))
    half = quantile * float(np.std(log_values, ddof=1)) / math.sqrt(passes)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


@dataclass(frozen=True)
class PassEstimate:
    """Logarithm of baseline time / arm time in one process.

    ``variance`` is the sampling variance from the pairs, without the variance between processes;
    ``rounds`` counts the pairs used, ``left_out`` the disturbed pairs left out.
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
    late: Sequence[int] | None = None,
) -> PassEstimate:
    """Estimate the ratio of one pass from its alternating pairs.

    The estimate is a median, robust to single disturbed pairs: the mean of the median over pairs in
    which the baseline went first and of the median over the others, those in ``late`` (None: the
    odd ones), so that the cost of going second cancels. ``disturbed`` pairs are left out if at
    least half of the pairs, and six or more, were calm. The variance is that of a median of normal
    values with the spread of the pairs (from the median absolute deviation), times
    (1 + r) / (1 - r) for the correlation r of neighbouring pairs, plus the variance of rounding to
    the clock's ``resolution_s`` seconds.
    Raises ValueError if the two have unequal lengths or are empty.
    """
    if len(baseline_s) != len(arm_s) or not arm_s:
        raise ValueError(f"{len(baseline_s)} baseline and {len(arm_s)} arm times make no pairs")
    ratios = np.log(np.asarray(baseline_s)) - np.log(np.asarray(arm_s))
    everything = np.arange(len(ratios))
    is_late = everything % 2 == 1 if late is None else np.isin(everything, np.asarray(late))
    kept = _calm(is_late, disturbed)
    orders = [half for half in (kept[~is_late[kept]], kept[is_late[kept]]) if half.size]
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


def _calm(is_late: NDArray[np.bool_], disturbed: Sequence[int]) -> NDArray[np.int64]:
    """Return the indices of the pairs to use; all of them if either order has too few calm ones."""
    everything = np.arange(len(is_late))
    calm = np.setdiff1d(everything, np.asarray(disturbed, dtype=np.int64))
    enough = len(calm) >= max(_LEAST_CALM, len(is_late) / 2)
    return calm if enough and len(set(is_late[calm])) == len(set(is_late)) else everything


def _variance(residuals: Floats, spread: float) -> float:
    """Return the variance of the estimate from the residuals; from their range if there are few."""
    count = len(residuals)
    if count < _LEAST_SPREAD:
        return spread**2
    # Two fitted medians make the residuals too small.
    sd = _MAD_TO_SD * float(np.median(np.abs(residuals))) * math.sqrt(count / (count - 2))
    return _MEDIAN_PENALTY * sd**2 / count * min(_inflation(residuals, sd), count / 2)


def log_correction(rounds: int) -> float:
    """Return what to add to the logarithm of a pass's variance before a mean of logarithms.

    A median absolute deviation of few pairs scatters by a large factor, so that the mean of its
    logarithm is far from the logarithm of its mean.
    """
    place = rounds - _LEAST_SPREAD
    return _LOG_BIAS[place] if 0 <= place < len(_LOG_BIAS) else 0.0


def _rounding(times_s: Sequence[float], resolution_s: float) -> float:
    """Return the variance of a ratio of two times that the clock rounds to its resolution.

    All calls of a pass may fall on the same step, so more calls do not reduce it.
    """
    return 2 * (resolution_s / float(np.median(times_s))) ** 2 / 12 if resolution_s else 0.0


def _inflation(residuals: Floats, sd: float) -> float:
    """Return the factor by which correlation of neighbouring pairs inflates a mean's variance."""
    clipped = np.clip(residuals, -3 * sd, 3 * sd)
    power = float(clipped @ clipped)
    correlation = float(clipped[1:] @ clipped[:-1]) / power if power > 0 else 0.0
    bounded = min(max(correlation, 0.0), 0.9)
    return (1 + bounded) / (1 - bounded)


def within_process(baseline_s: Sequence[float], arm_s: Sequence[float]) -> Interval:
    """Return baseline / arm time of one process's alternating pairs, with its 95 % interval.

    It covers the noise of the calls, correlated ones too, but not what differs between processes,
    such as the layout of memory: that takes several processes (see ``replication``). The value is
    that of ``estimate_pass``. Its variance is the larger of that one's and that of the mean of at
    most ten blocks of consecutive pairs, each with both orders equally often (batch means, Conway
    1963); the bounds are Student's t with one degree of freedom less than blocks. Bounds are None
    for a single pair. Raises ValueError as ``estimate_pass`` does.
    """
    found = estimate_pass(baseline_s, arm_s)
    value = math.exp(found.log_ratio)
    if found.rounds == 1:
        return Interval(value)
    size = 2 * max(found.rounds // (2 * _MOST_BLOCKS), 1)
    starts = range(0, found.rounds - size + 1, size)
    blocks = [slice(start, start + size) for start in starts]
    means = [estimate_pass(baseline_s[each], arm_s[each]).log_ratio for each in blocks]
    between = float(np.var(means, ddof=1)) / len(means) if len(means) > 1 else 0.0
    quantile = float(stdtrit(max(len(means) - 1, 1), 0.5 + CONFIDENCE / 2))
    half = quantile * math.sqrt(max(found.variance, between))
    return Interval(value, value * math.exp(-half), value * math.exp(half))
