"""Regret: what the best of the arms that were not chosen could still gain of the whole.

Gains are logarithms of the whole's time with the choice / with a rival. Each has a standard error;
errors of different factors are taken as independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from bench.analysis.estimates import CONFIDENCE, Interval

# Quantile of the normal distribution to which intervals are converted.
_TWO_SIDED = float(ndtri(0.5 + CONFIDENCE / 2))
_SQRT_2PI = math.sqrt(2 * math.pi)
# An arm is chosen if it is this likely to be better than the default: then neither choice could be
# regretted by much more than the other, and what other code costs beside time needs a reason.
LIKELY = 0.75
# Bisections: of a bound, and of the factor on the standard errors that halves it.
_STEPS = 40


@dataclass(frozen=True, kw_only=True)
class Rival:
    """An arm that was not chosen, and its gain of the whole over the choice."""

    arm: str
    log_gain: float
    """Logarithm of the whole's time with the choice / with this arm."""
    error: float
    """Standard error of ``log_gain``; infinite if it was not measured."""

    @property
    def expected(self) -> float:
        """Expected gain if this arm is better than the choice: E[max(0, gain)] of a normal."""
        if not math.isfinite(self.error):
            return math.inf
        if self.error <= 0:
            return max(self.log_gain, 0.0)
        z = self.log_gain / self.error
        density = math.exp(-z * z / 2) / _SQRT_2PI
        return float(self.error * density + self.log_gain * ndtr(z))

    def chance_beyond(self, log_gain: float) -> float:
        """Return the probability of a larger gain, of the estimate's normal distribution."""
        if self.error <= 0:
            return float(self.log_gain > log_gain)
        # Called thousands of times for one report: faster than ndtr.
        return math.erfc((log_gain - self.log_gain) / self.error / math.sqrt(2)) / 2

    def upper(self, rivals: int) -> float:
        """Return the 95 % upper bound of the gain, one-sided, for one of several rivals."""
        if not math.isfinite(self.error):
            return math.inf
        return self.log_gain + float(ndtri(1 - (1 - CONFIDENCE) / rivals)) * self.error

    def scaled(self, factor: float) -> "Rival":
        """Return the rival with its standard error multiplied by ``factor``."""
        return Rival(arm=self.arm, log_gain=self.log_gain, error=self.error * factor)


def error_of(gain: Interval) -> float:
    """Return the standard error of the logarithm of a gain, from its 95 % interval."""
    if gain.low is None or gain.high is None or gain.low <= 0:
        return math.inf
    return math.log(gain.high / gain.low) / 2 / _TWO_SIDED


def mean_of(first: Interval, second: Interval) -> Interval:
    """Return the mean of two independent measurements of one gain, weighted by inverse variances.

    One without an interval, or with one of no width, leaves the first as it is.
    """
    errors = (error_of(first), error_of(second))
    if not all(math.isfinite(error) and error > 0 for error in errors):
        return first
    weights = [error**-2 for error in errors]
    logs = [math.log(each.value) for each in (first, second)]
    value = math.fsum(w * log for w, log in zip(weights, logs, strict=True)) / sum(weights)
    half = _TWO_SIDED / math.sqrt(sum(weights))
    return Interval(*(math.exp(value + end) for end in (0.0, -half, half)))


def rival_of(arm: str, gain: Interval, chosen: Interval) -> Rival:
    """Return a rival from its gain over the default and that of the choice.

    Their errors are taken as independent. They share the default's, but most of an error is the
    arm's own from process to process: without the default's, 87 % of the intervals of differences
    between placebos held the truth.
    """
    error = math.hypot(error_of(gain), error_of(chosen))
    return Rival(arm=arm, log_gain=math.log(gain.value / chosen.value), error=error)


def is_likely(gain: Interval) -> bool:
    """Return whether an arm with this gain over the default is likely (LIKELY) to be better."""
    error = error_of(gain)
    return math.isfinite(error) and math.log(gain.value) > float(ndtri(LIKELY)) * error


def interval_of(rival: Rival) -> Interval | None:
    """Return the gain of the choice over a rival with its 95 % interval; None if not measured."""
    if not math.isfinite(rival.error):
        return None
    half = _TWO_SIDED * rival.error
    ends = (math.exp(end - rival.log_gain) for end in (0.0, -half, half))
    return Interval(*ends)


def upper_bound(rivals: Sequence[Rival]) -> float:
    """Return the largest gain of the whole by one of these rivals, at 95 %; 0 without rivals.

    The chances that single rivals gain more sum to 5 % (Boole's inequality): a rival that is far
    behind widens the bound of the others by nothing.
    """
    low, high = (max([0.0, *(each.upper(count) for each in rivals)]) for count in (1, len(rivals)))
    if not math.isfinite(high):
        return math.inf
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_exceeded = sum(each.chance_beyond(middle) for each in rivals) > 1 - CONFIDENCE
        low, high = (middle, high) if is_exceeded else (low, middle)
    return math.expm1(high)


def combined_bound(cells: Sequence[Sequence[Rival]]) -> float:
    """Return the largest gain of the whole by the best rival of every factor together, at 95 %."""
    likely, squares = 0.0, 0.0
    for rivals in cells:
        best = max([0.0, *(each.log_gain for each in rivals if math.isfinite(each.error))])
        bound = math.log1p(upper_bound(rivals))
        likely += best
        squares += (bound - best) ** 2
    total = likely + math.sqrt(squares)
    return math.expm1(total) if math.isfinite(total) else math.inf


def expected_regret(rivals: Sequence[Rival]) -> float:
    """Return the expected gain of the best rival of a factor, at least that of each of them."""
    return max((each.expected for each in rivals), default=0.0)


def seconds_to_halve(cells: Sequence[Sequence[Rival]], spent_s: float) -> float | None:
    """Return the further seconds that would halve the bound, if errors shrink with 1 / sqrt(time).

    None if no time would: a rival is likely better than the choice, or was not measured.
    """
    bound = combined_bound(cells)

    def at(factor: float) -> float:
        return combined_bound([[each.scaled(factor) for each in rivals] for rivals in cells])

    if not math.isfinite(bound) or bound <= 0 or at(0.0) > bound / 2:
        return None
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) <= bound / 2 else (low, middle)
    return spent_s * (1 / low**2 - 1) if low > 0 else None
