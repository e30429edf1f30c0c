"""The machine's own speed from part to part of a call, estimated and taken out of its times.

On a shared machine neighbours slow a program for some tenths of a second: longer than a part, and
shorter than a call of a large model. Parts that ran within the same spell were slowed alike, so the
level at a part is the median of what its neighbours in time deviate from their own medians: by arm
and place, which leaves what arms differ by as it is. How many neighbours are best depends on the
machine: few follow its level closely, many have less noise of their own. The number with which the
times scatter least is taken.

This is a nearest-neighbour analysis of an experiment laid out along a line (Wilkinson, Eckert,
Hancock and Mayo 1983, "Nearest neighbour (NN) analysis of field experiments"), with medians in
place of means.
"""

import numpy as np
from numpy.typing import NDArray

from bench.analysis.estimates import Floats

Integers = NDArray[np.int64]
# Neighbours on either side whose deviations give the level.
_REACHES = (16, 8, 4, 2)
# Arms' medians and levels follow from each other.
_ROUNDS = 6


def without_level(log_times: Floats, cells: Integers, calls: Integers) -> Floats:
    """Return logarithms of times without the machine's level around each.

    The times are in the order in which they were taken. ``cells`` numbers what is timed, such as an
    arm's attention, ``calls`` the calls, which are apart in time: a level ends with its call. The
    level's median is 0, so that times keep their size. Raises ValueError if lengths differ.
    """
    if not len(log_times) == len(cells) == len(calls):
        raise ValueError(f"{len(log_times)} times, {len(cells)} cells, {len(calls)} calls differ")
    if not len(log_times):
        return log_times
    found = [_level(log_times, cells, _neighbours(calls, reach)) for reach in _REACHES]
    level = min(found, key=lambda each: _scatter(log_times - each, cells))
    return np.asarray(log_times - level + np.median(level))


def _neighbours(calls: Integers, reach: int) -> Integers:
    """Return the places of the neighbours of each time, -1 where there are fewer."""
    steps = np.array([step for step in range(-reach, reach + 1) if step])
    places = np.arange(len(calls))[:, None] + steps
    inside = np.clip(places, 0, len(calls) - 1)
    is_near = (places == inside) & (calls[inside] == calls[:, None])
    return np.where(is_near, places, -1)


def _level(log_times: Floats, cells: Integers, neighbours: Integers) -> Floats:
    """Return the level at each time; 0 for one without neighbours."""
    level = np.zeros_like(log_times)
    lacks = neighbours < 0
    alone = lacks.all(axis=1)
    for _ in range(_ROUNDS):
        deviations = log_times - _medians(log_times - level, cells)
        around = np.where(lacks, np.nan, deviations[neighbours])
        around[alone] = 0.0
        level = np.nanmedian(around, axis=1)
    return level


def _medians(values: Floats, cells: Integers) -> Floats:
    """Return for each value the median of its cell."""
    found = np.empty_like(values)
    for cell in np.unique(cells):
        found[cells == cell] = np.median(values[cells == cell])
    return found


def _scatter(values: Floats, cells: Integers) -> float:
    """Return the mean absolute deviation from the cells' medians, without the largest tenth."""
    deviations = np.sort(np.abs(values - _medians(values, cells)))
    return float(deviations[: max(len(deviations) * 9 // 10, 1)].mean())
