"""A change on each kind of machine: its size there, and whether it holds there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from bench.analysis.cuts import Codes, Values

# Kinds differ if their shifts are less likely than this by chance.
_DIFFERENT = 0.01
# Then a kind shows a change that is at least this share of the clearest kind's, in its direction.
_LIKE_THE_CLEAREST = 0.5


@dataclass(frozen=True, kw_only=True)
class KindShift:
    """The shift of one kind's runs: ``change`` is relative, ``holds`` whether the kind shows it."""

    kind: str
    change: float
    runs: int
    holds: bool


@dataclass(frozen=True)
class _Shift:
    """Shift of logarithms, and its weight: the inverse of its variance in units of a run's."""

    kind: str
    shift: float
    weight: float
    runs: int

    @property
    def evidence(self) -> float:
        """Size of the shift / its standard error, in units of a run's noise."""
        return abs(self.shift) * math.sqrt(self.weight)


def differ(found: Sequence[KindShift]) -> bool:
    """Return whether a change holds on some of the kinds only."""
    return not all(each.holds for each in found)


def shifts(
    values: Values, codes: Codes, names: Sequence[str], cut: int, least: int
) -> tuple[KindShift, ...]:
    """Return the shift at ``cut`` of each kind with at least ``least`` runs on both sides.

    All of these hold the change, unless they differ by more than chance (an F test of the shifts,
    at 1 %): then those hold it whose own shift is nearer to that of the clearest kind than to none.
    """
    found: list[_Shift] = []
    squares, degrees = 0.0, 0
    for code, name in enumerate(names):
        before, after = values[:cut][codes[:cut] == code], values[cut:][codes[cut:] == code]
        for side in (before, after):
            squares += float(((side - side.mean()) ** 2).sum()) if len(side) else 0.0
            degrees += max(len(side) - 1, 0)
        if min(len(before), len(after)) >= least:
            weight = len(before) * len(after) / (len(before) + len(after))
            runs = len(before) + len(after)
            found.append(_Shift(name, float(after.mean() - before.mean()), weight, runs))
    variance = squares / max(degrees, 1)
    return _judged(found, max(variance, np.finfo(np.float64).tiny), degrees)


def _judged(found: Sequence[_Shift], variance: float, degrees: int) -> tuple[KindShift, ...]:
    agree = len(found) < 2 or not _are_different(found, variance, degrees)  # noqa: PLR2004
    clearest = max(found, key=lambda each: each.evidence, default=None)
    return tuple(
        KindShift(
            kind=each.kind,
            change=math.expm1(each.shift),
            runs=each.runs,
            holds=agree or clearest is None or each.shift / clearest.shift > _LIKE_THE_CLEAREST,
        )
        for each in found
    )


def _are_different(found: Sequence[_Shift], variance: float, degrees: int) -> bool:
    weights = np.array([each.weight for each in found])
    own = np.array([each.shift for each in found])
    spread = (weights * (own - np.average(own, weights=weights)) ** 2).sum() / (len(found) - 1)
    return bool(fdtrc(len(found) - 1, degrees, spread / variance) < _DIFFERENT)
