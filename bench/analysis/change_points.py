"""Change points of many series at once, with a bound on the share of false ones.

A series is cut where the means of both sides differ most for their spread (the likelihood ratio
of one shift of a normal mean: Hinkley 1970), then each side again (binary segmentation: Vostrikova
1981), as long as a cut beats most cuts of the same values in random order: a permutation
test gives its p-value, and the false discovery rate over all series is controlled (Benjamini and
Hochberg 1995). Permutation accounts for the search over all places, which a test of the best place
alone does not, and assumes no distribution.

Runs may be of several kinds of machine, each with a level of its own (``bench.analysis.cuts``). A
series is then cut over all kinds together, and over each kind alone, since some changes are one
kind's.
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from bench.analysis.cuts import (
    Codes,
    Values,
    best_cuts,
    coded,
    levelled,
    possible_cuts,
    shuffled,
    variances,
)
from bench.analysis.kind_shifts import KindShift, differ, shifts

FALSE_CHANGE_SHARE = 0.05
# A segment of fewer values could be one disturbed run.
LEAST_SEGMENT = 3
# Random orders tried at once; the first few show most cuts to be chance (Besag and Clifford 1991,
# "Sequential Monte Carlo p-values").
_FIRST_ORDERS, _ORDERS, _ENOUGH_AS_GOOD = 499, 4999, 50
# Sides of a cut with a larger p-value are not cut further.
_CANDIDATE = 0.05
_ROUNDING = 1e-9
_CONFIDENCE = 0.95
_UNLIKELY = -2 * math.log(1 - math.sqrt(_CONFIDENCE))


@dataclass(frozen=True, kw_only=True)
class Change:
    """A lasting change of one series; ``index`` is most likely the first value after it.

    With 95 % confidence it lies from ``earliest`` to ``latest``. ``before`` and ``after`` are
    geometric means of the segments on both sides, at the level of the commonest kind of machine;
    ``p_value`` is adjusted for all cuts of all series. ``kind`` is the only kind that it was found
    on, None if all kinds were cut together; ``by_kind`` has each kind with enough runs on
    both sides.
    """

    series: str
    index: int
    earliest: int
    latest: int
    before: float
    after: float
    p_value: float
    kind: str | None = None
    by_kind: tuple[KindShift, ...] = ()

    @property
    def change(self) -> float:
        """Relative growth of the value: 0.05 is 5 % more."""
        return self.after / self.before - 1

    def overlaps(self, other: "Change") -> bool:
        """Whether both may be the same change of one series."""
        is_near = self.earliest <= other.latest and other.earliest <= self.latest
        return self.series == other.series and is_near


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A series, or its runs of one ``kind``: logarithms, kinds, and places in the series."""

    series: str
    kind: str | None
    values: Values
    codes: Codes
    names: tuple[str, ...]
    places: Codes


def changes(
    series: Mapping[str, Sequence[float]],
    least: int = LEAST_SEGMENT,
    share: float = FALSE_CHANGE_SHARE,
    kinds: Mapping[str, Sequence[str]] | None = None,
) -> list[Change]:
    """Return every change of positive series, by series and place.

    ``kinds`` holds the kind of machine of each value; without it all are of one kind. Raises
    ValueError for values that are not positive and finite.
    """
    parts = [
        part
        for name, values in series.items()
        for part in _parts(name, _logs(name, values), (kinds or {}).get(name), least)
    ]
    # With fewer permutations no single change among these series could become significant.
    enough = math.ceil(2 * len(parts) / share)
    tried = [
        (number, cut, p_value)
        for number, part in enumerate(parts)
        for cut, p_value in _Cutter(part, least, enough).cuts(0, len(part.values))
    ]
    if not tried:
        return []
    adjusted = false_discovery_control([p_value for _, _, p_value in tried])
    kept: list[list[tuple[int, float]]] = [[] for _ in parts]
    for (number, cut, _), p_value in zip(tried, adjusted, strict=True):
        if p_value <= share:
            kept[number].append((cut, float(p_value)))
    found = [
        each for part, own in zip(parts, kept, strict=True) for each in _between(part, own, least)
    ]
    order = {name: place for place, name in enumerate(series)}
    return sorted(_distinct(found), key=lambda each: (order[each.series], each.index))


def _logs(name: str, values: Sequence[float]) -> Values:
    found = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError(f"series {name!r} has values that are not positive")
    return np.log(found)


def _parts(name: str, values: Values, kinds: Sequence[str] | None, least: int) -> Iterator[_Part]:
    """Yield the whole series, and each of several kinds that can be cut alone."""
    codes, names = coded(kinds or [""] * len(values))
    places = np.arange(len(values))
    yield _Part(series=name, kind=None, values=values, codes=codes, names=names, places=places)
    for code, kind in enumerate(names if len(names) > 1 else ()):
        own = places[codes == code]
        if len(own) >= 2 * least:
            alone = np.zeros(len(own), dtype=np.intp)
            yield _Part(
                series=name, kind=kind, values=values[own], codes=alone, names=(kind,), places=own
            )


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
    """Find the cuts of one part; ``enough`` is the number of permutations for significance."""

    part: _Part
    least: int
    enough: int

    def cuts(self, begin: int, end: int) -> Iterator[tuple[int, float]]:
        """Yield the best cut of ``begin`` to ``end`` with its p-value, then those of both sides."""
        codes = self.part.codes[begin:end]
        if not possible_cuts(codes, self.least)[0].size:
            return
        place, statistic = best_cuts(self.part.values[None, begin:end], codes, self.least)
        p_value = self._p_value(begin, end, statistic[0])
        cut = begin + int(place[0])
        yield cut, p_value
        if p_value <= _CANDIDATE:
            yield from self.cuts(begin, cut)
            yield from self.cuts(cut, end)

    def _p_value(self, begin: int, end: int, statistic: float) -> float:
        """Return the share of permutations that are cut as well; try more while there are few."""
        name = f"{self.part.series}{self.part.kind or ''}"
        generator = np.random.default_rng([zlib.crc32(name.encode()), begin, end])
        values, codes = self.part.values[begin:end], self.part.codes[begin:end]
        as_good = tried = 0
        while tried <= _FIRST_ORDERS or (as_good == 0 and tried < self.enough):
            orders = _ORDERS if tried else _FIRST_ORDERS
            rows = shuffled(generator, np.tile(values, (orders, 1)), codes)
            found = best_cuts(rows, codes, self.least)[1]
            # The same values on both sides in another order are a tie, despite rounding.
            as_good += int((found >= statistic * (1 - _ROUNDING)).sum())
            tried += orders
            if as_good >= _ENOUGH_AS_GOOD:
                break
        return (as_good + 1) / (tried + 1)


def _span(values: Values, codes: Codes, cut: int, least: int) -> tuple[int, int]:
    """Return the 95 % confidence range of a segment's only change, as first and last place.

    It holds the places whose likelihood is close enough to the largest (Siegmund 1988, "Confidence
    sets in change-point problems"): twice the logarithm of their ratio is below x with probability
    (1 - exp(-x / 2)) ** 2 (Yao 1987).
    """
    places, explained, total = variances(values[None], codes, least)
    left = np.maximum(total - explained[0], np.finfo(np.float64).tiny)
    likely = places[len(values) * np.log(left / left.min()) <= _UNLIKELY]
    return min(cut, int(likely.min())), max(cut, int(likely.max()))


def _between(part: _Part, kept: Sequence[tuple[int, float]], least: int) -> Iterator[Change]:
    found = sorted(kept)
    cuts = [cut for cut, _ in found]
    ends = [0, *cuts, len(part.values)]
    level = levelled(part.values, part.codes, cuts)
    for place, (cut, p_value) in enumerate(found):
        begin, end = ends[place], ends[place + 2]
        codes = part.codes[begin:end]
        first, last = _span(part.values[begin:end], codes, cut - begin, least)
        own = shifts(part.values[begin:end], codes, part.names, cut - begin, least)
        yield Change(
            series=part.series,
            index=int(part.places[cut]),
            # Between two runs of one kind lie commits that only others have run.
            earliest=int(part.places[begin + first - 1]) + 1,
            latest=int(part.places[begin + last]),
            before=math.exp(level[begin:cut].mean()),
            after=math.exp(level[cut:end].mean()),
            p_value=p_value,
            kind=part.kind,
            by_kind=own,
        )


def _distinct(found: Sequence[Change]) -> list[Change]:
    """Return each change once: of all kinds together, unless it is one kind's and found there."""
    alone = [each for each in found if each.kind is not None]
    together = [
        each
        for each in found
        if each.kind is None and not (differ(each.by_kind) and any(map(each.overlaps, alone)))
    ]
    return [*together, *(each for each in alone if not any(map(each.overlaps, together)))]
