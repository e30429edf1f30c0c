"""What an interval of a speed-up allows to be said."""

from bench.analysis.intervals import Interval

# A difference of less than this is of no interest to somebody who chooses an implementation.
DELTA = 0.02


def verdict(speedup: Interval, delta: float = DELTA) -> str:
    """``faster``, ``slower``, ``equivalent`` (the interval is within 1 ± delta) or ``undecided``.

    An interval that lies within the band is ``equivalent`` even where it excludes 1: too small a
    difference to choose by. Without bounds (one pass) nothing is decided.
    """
    if speedup.low is None or speedup.high is None:
        return "undecided"
    if speedup.low >= 1 / (1 + delta) and speedup.high <= 1 + delta:
        return "equivalent"
    if speedup.low > 1:
        return "faster"
    if speedup.high < 1:
        return "slower"
    return "undecided"
