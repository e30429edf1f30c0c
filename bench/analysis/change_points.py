"""Change points of many series at once, with a bound on the share of false ones.

A series is cut where the means of both sides differ most for their spread (the likelihood ratio
of one shift of a normal mean: Hinkley 1970), then each side again (binary segmentation: Vostrikova
1981), as long as a cut beats most cuts of the same values in random order: a permutation
test gives its p-value, and the false discovery rate over all series is controlled (Benjamini and
Hochberg 1995). Permutation accounts for the search over all places, which a test of the best place
alone does not, and assumes no distribution.
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

FALSE_CHANGE_SHARE = 0.05
# A segment of fewer values could be one disturbed run.
LEAST_SEGMENT = 3
_ORDERS = 4999
# Sides of a cut with a larger p-value are not cut further.
_CANDIDATE = 0.05
_ROUNDING = 1e-9
_CONFIDENCE = 0.95
_UNLIKELY = -2 * math.log(1 - math.sqrt(_CONFIDENCE))

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A lasting change of one series; ``index`` is most likely the first value after it.

    With 95 % confidence it lies from ``earliest`` to ``latest``. ``before`` and ``after`` are
    geometric means of the segments on both sides, ``p_value`` is adjusted for all cuts
    of all series.
    """

    series: str
    index: int
    earliest: int
    latest: int
    before: float
    after: float
    p_value: float

    @property
    def change(self) -> float:
        """Relative growth of the value: 0.05 is 5 % more."""
        return self.after / self.before - 1


def changes(
    series: Mapping[str, Sequence[float]],
    least: int = LEAST_SEGMENT,
    share: float = FALSE_CHANGE_SHARE,
) -> list[Change]:
    """Return every change of positive series, by series and place.

    Raises ValueError for values that are not positive and finite.
    """
    logs = {name: _logs(name, values) for name, values in series.items()}
    # With fewer permutations no single change among these series could become significant.
    enough = math.ceil(2 * len(logs) / share)
    tried = [
        (name, cut, p_value)
        for name, values in logs.items()
        for cut, p_value in _Cutter(name, values, least, enough).cuts(0, len(values))
    ]
    if not tried:
        return []
    adjusted = false_discovery_control([p_value for _, _, p_value in tried])
    kept = [
        (name, cut, float(p_value))
        for (name, cut, _), p_value in zip(tried, adjusted, strict=True)
        if p_value <= share
    ]
    return [change for name in logs for change in _between(name, logs[name], kept, least)]


def _logs(name: str, values: Sequence[float]) -> Values:
    found = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError(f"series {name!r} has values that are not positive")
    return np.log(found)


def least_runs(series: int, least: int = LEAST_SEGMENT, share: float = FALSE_CHANGE_SHARE) -> int:
    """Return the number of runs below which no change of one series among ``series`` can be found.

    Of n values in random order, 2 of C(n, n / 2) permutations are cut as well as the best one.
    """
    runs = 2 * least
    while 2 / math.comb(runs, runs // 2) > share / series:
        runs += 1
    return runs


@dataclass(frozen=True)
class _Cutter:
    """Find the cuts of one series; ``enough`` is the number of permutations for significance."""

    name: str
    values: Values
    least: int
    enough: int

    def cuts(self, begin: int, end: int) -> Iterator[tuple[int, float]]:
        """Yield the best cut of ``begin`` to ``end`` with its p-value, then those of both sides."""
        if end - begin < 2 * self.least:
            return
        place, statistic = _best(self.values[None, begin:end], self.least)
        p_value = self._p_value(begin, end, statistic[0])
        cut = begin + int(place[0])
        yield cut, p_value
        if p_value <= _CANDIDATE:
            yield from self.cuts(begin, cut)
            yield from self.cuts(cut, end)

    def _p_value(self, begin: int, end: int, statistic: float) -> float:
        """Return the share of permutations that are cut as well; try more while there is none."""
        generator = np.random.default_rng([zlib.crc32(self.name.encode()), begin, end])
        rows = np.tile(self.values[begin:end], (_ORDERS, 1))
        as_good = tried = 0
        while tried == 0 or (as_good == 0 and tried < self.enough):
            found = _best(generator.permuted(rows, axis=1), self.least)[1]
            # The same values on both sides in another order are a tie, despite rounding.
            as_good += int((found >= statistic * (1 - _ROUNDING)).sum())
            tried += _ORDERS
        return (as_good + 1) / (tried + 1)


def _best(rows: Values, least: int) -> tuple[NDArray[np.intp], Values]:
    """Return each row's best cut and its statistic: explained / remaining variance."""
    places, explained, total = _variances(rows, least)
    most = explained.max(axis=1)
    left = np.maximum(total - most, np.finfo(np.float64).tiny)
    return places[explained.argmax(axis=1)], most / left


def _variances(rows: Values, least: int) -> tuple[NDArray[np.intp], Values, Values]:
    """Return the possible cuts of rows, the variance that each explains, and the total variance."""
    count = rows.shape[1]
    centred = rows - rows.mean(axis=1, keepdims=True)
    places = np.arange(least, count - least + 1)
    sums = centred.cumsum(axis=1)[:, places - 1]
    explained = sums**2 * count / (places * (count - places))
    return places, explained, (centred**2).sum(axis=1)


def _span(values: Values, cut: int, least: int) -> tuple[int, int]:
    """Return the 95 % confidence range of a segment's only change, as first and last place.

    It holds the places whose likelihood is close enough to the largest (Siegmund 1988, "Confidence
    sets in change-point problems"): twice the logarithm of their ratio is below x with probability
    (1 - exp(-x / 2)) ** 2 (Yao 1987).
    """
    places, explained, total = _variances(values[None], least)
    left = np.maximum(total - explained[0], np.finfo(np.float64).tiny)
    likely = places[len(values) * np.log(left / left.min()) <= _UNLIKELY]
    return min(cut, int(likely.min())), max(cut, int(likely.max()))


def _between(
    name: str, values: Values, kept: Sequence[tuple[str, int, float]], least: int
) -> Iterator[Change]:
    found = sorted((cut, p_value) for each, cut, p_value in kept if each == name)
    ends = [0, *(cut for cut, _ in found), len(values)]
    for place, (cut, p_value) in enumerate(found):
        begin, end = ends[place], ends[place + 2]
        before, after = values[begin:cut], values[cut:end]
        first, last = _span(values[begin:end], cut - begin, least)
        yield Change(
            series=name,
            index=cut,
            earliest=begin + first,
            latest=begin + last,
            before=math.exp(before.mean()),
            after=math.exp(after.mean()),
            p_value=p_value,
        )
