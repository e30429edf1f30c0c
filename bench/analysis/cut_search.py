"""Cuts of one series, or of its runs of one kind of machine, each with a permutation p-value."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.cuts import Codes, Values, best_cuts, coded, possible_cuts, shuffled

# Random orders tried at once; the first few show most cuts to be chance (Besag and Clifford 1991,
# "Sequential Monte Carlo p-values").
_FIRST_ORDERS, _ORDERS, _ENOUGH_AS_GOOD = 499, 4999, 50
# Sides of a cut with a larger p-value are not cut further.
_CANDIDATE = 0.05
_ROUNDING = 1e-9
# A place, and its p-value.
Cut = tuple[int, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A series, or its runs of one ``kind``: logarithms, kinds, and places in the series."""

    series: str
    kind: str | None
    values: Values
    codes: Codes
    names: tuple[str, ...]
    places: Codes


def parts_of(name: str, values: Values, kinds: Sequence[str] | None, least: int) -> Iterator[Part]:
    """Yield the whole series, and each of several kinds that can be cut alone."""
    codes, names = coded(kinds or [""] * len(values))
    places = np.arange(len(values))
    yield Part(series=name, kind=None, values=values, codes=codes, names=names, places=places)
    for code, kind in enumerate(names if len(names) > 1 else ()):
        own = places[codes == code]
        if len(own) >= 2 * least:
            alone = np.zeros(len(own), dtype=np.intp)
            yield Part(
                series=name, kind=kind, values=values[own], codes=alone, names=(kind,), places=own
            )


@dataclass(frozen=True)
class Search:
    """Find the cuts of one part; ``enough`` is the number of permutations for significance."""

    part: Part
    least: int
    enough: int

    def cuts(self, begin: int, end: int) -> Iterator[Cut]:
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
