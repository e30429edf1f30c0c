"""Trends of an arm while it is measured: its warm-up had not ended, or it moved otherwise."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from bench.analysis.estimates import Floats

# An arm is unsteady if its times change by more than TREND from the first third of a pass to the
# last, with a probability below TREND_P under no trend.
TREND = 0.03
TREND_P = 0.01
# Shorter passes have thirds of a single pair.
_LEAST_PAIRS = 6
_MOST_PAIRS = 400


def moved(passes: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float | None:
    """Return by how much the times of an arm changed over a pass; None if they were steady.

    0.1 is 10 % slower at the end of a pass than at its start, relative to the partner.
    ``passes`` are the times of the arm and of its partner in the same pairs. The arm must trend in
    the same direction alone and relative to its partner: a trend of the machine affects both and
    cancels in the ratio. Passes of fewer than six pairs do not count.
    """
    logs = [
        (np.log(np.asarray(own_s)), np.log(np.asarray(partner_s)))
        for own_s, partner_s in passes
        if len(own_s) >= _LEAST_PAIRS
    ]
    alone = _change([own for own, _ in logs])
    relative = _change([own - partner for own, partner in logs])
    if alone is None or relative is None or alone * relative < 0:
        return None
    return math.expm1(relative)


def _change(passes: Sequence[Floats]) -> float | None:
    """Return the change of a series over a pass, if it is a trend: large and beyond chance."""
    if not passes:
        return None
    thirds = [(len(each) // 3, each) for each in passes]
    change = float(np.mean([np.median(x[-n:]) - np.median(x[:n]) for n, x in thirds]))
    p_value = kendall_p([-each if change > 0 else each for each in passes])
    return change if abs(change) > TREND and p_value < TREND_P else None


def kendall_p(passes: Sequence[Floats]) -> float:
    """Return the one-sided p-value of a falling trend in several series (Mann 1945).

    Scores and variances of the series add (Hirsch, Slack and Smith 1982, "Techniques of trend
    analysis for monthly water quality data"), so that three series of six values suffice.
    """
    scores, variances = zip(*map(_kendall, passes), strict=True)
    return float(ndtr((sum(scores) + 1) / math.sqrt(sum(variances))))


def _kendall(series: Floats) -> tuple[float, float]:
    """Return Kendall's score of a series, negative if it falls, and its variance."""
    # All pairs of thousands of values would take seconds at no gain.
    series = series[:: 1 + len(series) // _MOST_PAIRS]
    count = len(series)
    later, earlier = np.tril_indices(count, -1)
    score = float(np.sign(series[later] - series[earlier]).sum())
    return score, count * (count - 1) * (2 * count + 5) / 18
