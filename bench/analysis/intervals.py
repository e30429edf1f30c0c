"""Intervals of positive quantities: a speed-up, a latency."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

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
