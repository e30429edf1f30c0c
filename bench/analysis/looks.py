"""Look at passes as they come, and stop when something is decided, without more false verdicts.

A test that is repeated after each pass finds a difference by chance in one look or another. The
error is therefore spent in parts: after k looks at most k / (k + 2) of it (Lan and DeMets 1983,
"Discrete sequential boundaries for clinical trials"), and nearly all of it at the last look, if
time and not a result ends the passes. The number of looks need not be known before. The parts
become nominal levels by the recursion of Armitage, McPherson and Rowe (1969, "Repeated significance
tests on accumulating data"), for looks at equal steps of information: for looks that are more alike
than these, such as those after 3, 4 and 5 passes, the error is smaller. With Student's t the
nominal level is kept (Jennison and Turnbull 2000, "Group sequential methods", section 4.4), and
15 % of the error is held back: t scores of two to four passes are less alike from look to look than
normal ones.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from bench.analysis.estimates import Floats

# Gauss-Legendre quadrature: probabilities are exact to about 1e-8.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# Share of the error that is spent by the last of several looks, if not more was before.
_SPENT = 0.85
_BISECTIONS = 50
_LARGEST_SCORE = 12.0
# Looks beyond keep the level of this one: a run has far fewer.
_MOST_LOOKS = 60


def level(look: int, error: float, *, is_last: bool = False) -> float:
    """Return the largest two-sided p-value that decides at a look; looks count from 1.

    The probability that any look decides, if nothing is there to find, is at most ``error``.
    ``is_last``: no further look follows, for a reason that is not in the data. Raises ValueError
    for look 0.
    """
    if look < 1:
        raise ValueError(f"look is {look}; expected 1 or more")
    bound = _bounds(min(look, _MOST_LOOKS), error, is_last)[-1]
    return 2 * float(ndtr(-bound))


@lru_cache
def _bounds(looks: int, error: float, is_last: bool) -> tuple[float, ...]:  # noqa: FBT001
    """Return the normal score beyond which each look decides."""
    shares = [count / (count + 2) for count in range(1, looks + 1)]
    if is_last:
        shares[-1] = max(shares[-1], _SPENT) if looks > 1 else 1.0
    found: list[float] = []
    state = _START
    for spent, before in zip(shares, [0.0, *shares], strict=False):
        found.append(state.bound(error * (spent - before)))
        state = state.after(found[-1])
    return tuple(found)


def crossing(bounds: tuple[float, ...]) -> list[float]:
    """Return the probability that each look is the first whose normal score exceeds its bound."""
    state, found = _START, list[float]()
    for bound in bounds:
        found.append(state.beyond(bound))
        state = state.after(bound)
    return found


@dataclass(frozen=True)
class _State:
    """Distribution of the sum of independent normal steps, where no look has decided before.

    ``masses`` are the probabilities of the sums ``points`` after the last look.
    """

    looks: int
    points: Floats
    masses: Floats

    def beyond(self, bound: float) -> float:
        """Return the probability that the next score is beyond a bound, either way."""
        edge = bound * math.sqrt(self.looks + 1)
        outside = ndtr(self.points - edge) + ndtr(-edge - self.points)
        return float(self.masses @ outside)

    def bound(self, probability: float) -> float:
        """Return the bound that the next score exceeds with a probability."""
        if not self.looks:
            return -float(ndtri(probability / 2))
        low, high = 0.0, _LARGEST_SCORE
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.beyond(middle) > probability else (low, middle)
        return high

    def after(self, bound: float) -> "_State":
        """Return the state after a look that did not decide at this bound."""
        edge = bound * math.sqrt(self.looks + 1)
        points = _NODES * edge
        steps = points[:, None] - self.points
        density = np.exp(-(steps**2) / 2) @ self.masses / math.sqrt(2 * math.pi)
        return _State(self.looks + 1, points, _WEIGHTS * edge * density)


_START = _State(0, np.zeros(1), np.ones(1))
