"""Noise from run to run in a history, and the smallest change that can be found amid it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.change_points import FALSE_CHANGE_SHARE, LEAST_SEGMENT
from bench.analysis.cuts import Codes, best_cuts, coded, possible_cuts

# Noises of a run at which simulated histories are published: standard deviations of logarithms.
NOISES = (0.02, 0.04, 0.08)
# A change counts as found if it is reported at most this number of runs away.
NEAR = 3
_POWER = 0.95
_LEAST_STEPS = 5
_LEAST_NOISE = 1e-9
# Median absolute value of a standard normal variable.
_MEDIAN_ABSOLUTE = 0.6745
_ORDERS, _TRIALS, _BLOCK = 20_000, 2_000, 5_000
# Changes in units of the noise: the largest that is tried, and halvings of that range.
_LARGEST, _HALVINGS = 32.0, 12


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a history like this one can find, if one series changes half-way.

    ``noise`` is a standard deviation of logarithms; ``found`` the share of histories that report a
    change of ``change``, ``smallest`` the change that 95 % of them report (None: no such change).
    """

    noise: float
    change: float
    found: float
    smallest: float | None


def run_noise(values: Sequence[float], kinds: Sequence[str]) -> float | None:
    """Return the standard deviation of the logarithm of a run's value; None for too few runs.

    It is estimated from the median absolute step from one run to the next of the same kind of
    machine: lasting changes and single disturbed runs hardly touch it.
    """
    last: dict[str, float] = {}
    steps = []
    for value, kind in zip(values, kinds, strict=True):
        now = math.log(value)
        if kind in last:
            steps.append(abs(now - last[kind]))
        last[kind] = now
    if len(steps) < _LEAST_STEPS:
        return None
    return float(np.median(steps)) / (_MEDIAN_ABSOLUTE * math.sqrt(2))


def published_noise(noise: float) -> float | None:
    """Return the published noise that is at least as large; None beyond the largest."""
    return next((each for each in NOISES if noise <= each), None)


def power(
    noise: float,
    kinds: Sequence[str],
    tests: int,
    change: float = 0.05,
    share: float = FALSE_CHANGE_SHARE,
    least: int = LEAST_SEGMENT,
) -> Power:
    """Return what change points find in a history with runs of these kinds and normal noise.

    ``tests`` is the number of series that are cut. The only change of all has to reach ``share`` /
    ``tests``: with several at once smaller ones are found.
    """
    codes, _ = coded(kinds)
    unknown = Power(noise=noise, change=change, found=0.0, smallest=None)
    if not possible_cuts(codes, least)[0].size:
        return unknown
    generator = np.random.default_rng(0)
    needed = _needed(generator, codes, least, share / tests)
    if needed is None:
        return unknown
    rows = generator.normal(0, 1, (_TRIALS, len(codes)))

    def found(size: float) -> float:
        """Share of histories that report a change of ``size`` times the noise."""
        middle = len(codes) // 2
        places, statistics = best_cuts(
            rows + size * (np.arange(len(codes)) >= middle), codes, least
        )
        return float(((statistics > needed) & (np.abs(places - middle) <= NEAR)).mean())

    smallest = _smallest(found)
    return Power(
        noise=noise,
        change=change,
        found=found(min(math.log1p(change) / max(noise, _LEAST_NOISE), _LARGEST)),
        smallest=None if smallest is None else math.expm1(smallest * noise),
    )


def _needed(
    generator: np.random.Generator, codes: Codes, least: int, p_value: float
) -> float | None:
    """Return the statistic that noise alone exceeds with this probability, of normal values.

    None if permutations cannot give so small a p-value: the likeliest orders repeat too often.
    """
    counts = np.bincount(codes)
    orders = math.prod(math.comb(int(each), int(each) // 2) for each in counts)
    if 2 / orders > p_value:
        return None
    blocks = [
        best_cuts(generator.normal(0, 1, (_BLOCK, len(codes))), codes, least)[1]
        for _ in range(_ORDERS // _BLOCK)
    ]
    return float(np.quantile(np.concatenate(blocks), 1 - p_value))


def _smallest(found: Callable[[float], float]) -> float | None:
    """Return the smallest size that is found in 95 %, by bisection."""
    low, high = 0.0, _LARGEST
    if found(high) < _POWER:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= _POWER else (middle, high)
    return high
