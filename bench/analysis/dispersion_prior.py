"""An inverse chi-square prior of the dispersion of comparisons, fitted by moments of logarithms.

See Smyth 2004, section 6.2; ``bench.analysis.spread`` has the title.
"""

import math

from scipy.special import digamma, polygamma

from bench.analysis.estimates import Floats

# Degrees of freedom where there are too few comparisons to fit them, cautious beside the values
# that calibrations found, and their weight, in comparisons.
PRIOR_DEGREES = 4.0
_GUESS_WEIGHT = 4
_NEWTON_STEPS = 50
_NEWTON_TOLERANCE = 1e-10


def offset(prior: float) -> float:
    """Return minus the mean logarithm of the prior's dispersion of scale 1."""
    return float(digamma(prior / 2)) - math.log(prior / 2)


def prior_degrees(logs: Floats, degrees: Floats, taken: float) -> float:
    """Return the degrees of freedom of the prior from unbiased logarithms of dispersions.

    ``taken`` are the means that were taken from these.
    """
    sampling = float(polygamma(1, degrees / 2).mean())
    count = max(len(logs) - taken, 0.0)
    squares = float(((logs - logs.mean()) ** 2).sum())
    excess = max(squares / count - sampling, 0.0) if count > 0 else 0.0
    guess = float(polygamma(1, PRIOR_DEGREES / 2))
    mixed = (count * excess + _GUESS_WEIGHT * guess) / (count + _GUESS_WEIGHT)
    return 2 * inverse_trigamma(mixed)


def inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value > 0, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < _NEWTON_TOLERANCE:
            break
    return x
