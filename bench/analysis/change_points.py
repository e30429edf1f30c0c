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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.stats import false_discovery_control

from bench.analysis.cut_search import Cut, Part, Search, parts_of
from bench.analysis.cuts import Codes, Values, levelled, variances
from bench.analysis.kind_shifts import KindShift, differ, shifts

FALSE_CHANGE_SHARE = 0.05
# A segment of fewer values could be one disturbed run.
LEAST_SEGMENT = 3
_CONFIDENCE = 0.95
_UNLIKELY = -2 * math.log(1 - math.sqrt(_CONFIDENCE))


@dataclass(frozen=True, kw_only=True)
class Change:
    """A lasting change of one series; ``index`` is most likely the first value after it.

    With 95 % confidence it lies from ``earliest`` to ``latest``. ``before`` and ``after`` are
    geometric means of the segments on both sides, at the level of the commonest kind of machine;
    ``p_value`` is adjusted for the cuts of all series. ``kind`` is the only kind that it was found
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
        for part in parts_of(name, _logs(name, values), (kinds or {}).get(name), least)
    ]
    # With fewer permutations no single change among these series could become significant.
    enough = math.ceil(2 * len(parts) / share)
    searched = [(part, [*Search(part, least, enough).cuts(0, len(part.values))]) for part in parts]
    together = _significant([each for each in searched if each[0].kind is None], least, share)
    settled = [each for each in together if not differ(each.by_kind)]
    # A family of its own: its true changes that all kinds show would let more false ones pass.
    alone = _significant(
        [
            (part, _unsettled(part, cuts, settled, least, share))
            for part, cuts in searched
            if part.kind is not None
        ],
        least,
        share,
    )
    order = {name: place for place, name in enumerate(series)}
    found = _distinct(together, alone)
    return sorted(found, key=lambda each: (order[each.series], each.index))


def _significant(
    searched: Sequence[tuple[Part, Sequence[Cut]]], least: int, share: float
) -> list[Change]:
    """Return the changes among the cuts of some parts at this false discovery rate."""
    p_values = [p_value for _, cuts in searched for _, p_value in cuts]
    if not p_values:
        return []
    adjusted = iter(false_discovery_control(p_values).tolist())
    found: list[Change] = []
    for part, cuts in searched:
        kept = [
            (cut, p_value)
            for (cut, _), p_value in zip(cuts, islice(adjusted, len(cuts)), strict=True)
            if p_value <= share
        ]
        found += _between(part, kept, least)
    return found


def _unsettled(
    part: Part, cuts: Sequence[Cut], settled: Sequence[Change], least: int, share: float
) -> list[Cut]:
    """Return the cuts of one kind's runs that are no change which all kinds show."""
    likely = sorted(each for each in cuts if each[1] <= share)
    known = {
        cut
        for (cut, _), each in zip(likely, _between(part, likely, least), strict=True)
        if any(map(each.overlaps, settled))
    }
    return [each for each in cuts if each[0] not in known]


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


def _between(part: Part, kept: Sequence[Cut], least: int) -> Iterator[Change]:
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


def _distinct(together: Sequence[Change], alone: Sequence[Change]) -> list[Change]:
    """Return each change once: of all kinds together, unless it is one kind's and found there."""
    common = [
        each for each in together if not (differ(each.by_kind) and any(map(each.overlaps, alone)))
    ]
    return [*common, *(each for each in alone if not any(map(each.overlaps, common)))]
