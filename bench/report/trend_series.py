"""The series of a history as they are charted: against the yardstick or their own baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bench.analysis.change_points import (
    FALSE_CHANGE_SHARE,
    LEAST_SEGMENT,
    Change,
    changes,
)
from bench.analysis.cuts import Values, coded, levelled
from bench.analysis.run_noise import run_noise
from bench.files.history_csv import Point

YARDSTICK = "yardstick"
# The baseline must be this much steadier: a series does not go to and fro between the two.
_STEADIER = 0.8


@dataclass(frozen=True, kw_only=True)
class Series:
    """One arm's points in the order of time, and what its time is divided by.

    ``against`` is ``yardstick``, or the name of the arm's baseline where the ratio to that, which
    is measured in the same rounds, is steadier from run to run. ``kinds`` holds the kind of
    machine of each point; ``values``, ``lows`` and ``highs`` are the ratios with their intervals.
    """

    name: str
    against: str
    points: tuple[Point, ...]
    kinds: tuple[str, ...]

    @property
    def values(self) -> list[float]:
        """Ratio of each run."""
        return [self._ratio(each) for each in self.points]

    @property
    def intervals(self) -> list[tuple[float | None, float | None]]:
        """95 % interval of each run's ratio."""
        if self.against == YARDSTICK:
            return [(each.low, each.high) for each in self.points]
        return [(each.baseline_low, each.baseline_high) for each in self.points]

    @property
    def noise(self) -> float | None:
        """Standard deviation of the logarithm from run to run; None for too few runs."""
        return run_noise(self.values, self.kinds)

    def level(self, found: Sequence[Change]) -> Values:
        """Ratios as if all runs were on the commonest kind of machine, with these changes."""
        cuts = [each.index for each in found if each.kind is None]
        return np.exp(levelled(np.log(self.values), coded(self.kinds)[0], cuts))

    def _ratio(self, point: Point) -> float:
        return point.ratio if self.against == YARDSTICK else point.baseline_ratio or point.ratio


History = Mapping[str, Series]


def by_series(points: Sequence[Point]) -> dict[str, Series]:
    """The series of a history by name, each in the order of time."""
    ordered = sorted(points, key=lambda each: (each.series, each.time))
    kinds = _kinds(points)
    return {
        name: _steadiest(name, tuple(group), kinds)
        for name, group in groupby(ordered, lambda each: each.series)
    }


def _kinds(points: Sequence[Point]) -> dict[str, str]:
    """Names for kinds whose number of threads is unknown: that of the only known kind like it."""
    known: dict[str, set[str]] = {}
    for each in points:
        if each.threads is not None:
            known.setdefault(each.device_name, set()).add(each.kind)
    return {name: min(kinds) for name, kinds in known.items() if len(kinds) == 1}


def _kind(point: Point, known: Mapping[str, str]) -> str:
    return known.get(point.device_name, point.kind) if point.threads is None else point.kind


def _steadiest(name: str, points: tuple[Point, ...], known: Mapping[str, str]) -> Series:
    """Return a series against its baseline if that is clearly steadier, else the yardstick."""
    kinds = tuple(_kind(each, known) for each in points)
    plain = Series(name=name, against=YARDSTICK, points=points, kinds=kinds)
    baselines = {each.baseline for each in points if each.baseline_ratio is not None}
    if len(baselines) != 1:
        return plain
    own = [(each, kind) for each, kind in zip(points, kinds, strict=True) if each.baseline_ratio]
    paired = Series(
        name=name,
        against=str(baselines.pop()),
        points=tuple(each for each, _ in own),
        kinds=tuple(kind for _, kind in own),
    )
    # As many runs as the yardstick has, but for a history's oldest half.
    if 2 * len(own) < len(points) or plain.noise is None or paired.noise is None:
        return plain
    return paired if paired.noise < _STEADIER * plain.noise else plain


def changes_of(
    history: History, least: int = LEAST_SEGMENT, share: float = FALSE_CHANGE_SHARE
) -> list[Change]:
    """Return the lasting changes of all series, within each kind of machine."""
    values = {name: each.values for name, each in history.items()}
    return changes(values, least, share, {name: each.kinds for name, each in history.items()})
