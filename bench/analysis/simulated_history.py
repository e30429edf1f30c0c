"""Simulated histories: true changes found and false alarms of several methods.

Two kinds of machine take turns at random, as on hosted runners. Each has a speed of its own, which
ratios to a yardstick of the same run cancel, and for each series a residual that they do not: one
kind lacks an instruction set, the other has a larger cache. The speed also varies from run to run
(10 to 30 % on hosted runners). What is left in a ratio is the noise of a run, half of it shared by
all series, since all are divided by one yardstick. A commit half-way makes some series lastingly
slower, on both kinds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.analysis.change_points import changes
from bench.analysis.run_noise import NEAR, NOISES

Values = NDArray[np.float64]


class DetectedChange(NamedTuple):
    """A change that a method reports: series, run, and the 95 % range of runs if it gives one."""

    series: int
    run: int
    span: tuple[int, int] | None = None


class History(NamedTuple):
    """Raw times and ratios, arrays of (series, runs), and the kind of machine of each run."""

    raw: Values
    ratios: Values
    kinds: Sequence[str]


Detector = Callable[[History], list[DetectedChange]]

# Standard deviations of logarithms: speed from run to run, of a kind of machine, and of a kind's
# residual in a ratio; and the share of runs on the first kind.
_MACHINE, _KIND_SPEED, _KIND_RESIDUAL, _FIRST = 0.12, 0.3, 0.1, 0.6
# Share of the noise's variance that all ratios of a run share.
_SHARED = 0.5


@dataclass(frozen=True, kw_only=True)
class MethodScore:
    """Score of one method on histories in which some series became slower by ``change``.

    ``noise`` is the standard deviation of a run's ratio on one kind of machine (of its logarithm).
    ``found`` is the share of true changes reported at most three runs away, ``exact`` the share of
    those reported at the very run, ``held`` the share of those whose 95 % range holds it (None
    without ranges). ``false_alarms`` is the number of false reports per history, ``false_share``
    their share of all reports.
    """

    method: str
    noise: float
    change: float
    found: float
    exact: float | None
    held: float | None
    false_alarms: float
    false_share: float | None


def simulate_histories(
    histories: int = 40,
    runs: int = 40,
    series: int = 20,
    *,
    change: float = 0.05,
    noise: float = NOISES[0],
    seed: int = 0,
) -> list[MethodScore]:
    """Score every method on histories in which every fourth series changes half-way."""
    generator = np.random.default_rng(seed)
    made = [_history(generator, (series, runs), change, noise) for _ in range(histories)]
    truth = {(n, runs // 2) for n in range(0, series, 4)}
    return [
        replace(_judge(name, method, made, truth), change=change, noise=noise)
        for name, method in DETECTORS.items()
    ]


def _history(
    generator: np.random.Generator, shape: tuple[int, int], change: float, noise: float
) -> History:
    series, runs = shape
    kind = (generator.random(runs) > _FIRST).astype(np.intp)
    speed = generator.normal(0, _MACHINE, runs) + generator.normal(0, _KIND_SPEED, 2)[kind]
    shared = generator.normal(0, noise * math.sqrt(_SHARED), runs)
    own = generator.normal(0, noise * math.sqrt(1 - _SHARED), shape)
    ratios = own + shared + generator.normal(0, _KIND_RESIDUAL, (series, 2))[:, kind]
    ratios[::4, runs // 2 :] += np.log1p(change)
    return History(np.exp(ratios + speed), np.exp(ratios), [f"kind {each}" for each in kind])


def _judge(
    name: str, method: Detector, made: Sequence[History], truth: set[tuple[int, int]]
) -> MethodScore:
    reports = [method(history) for history in made]
    true = [sum(_is_true(each, truth) for each in calls) for calls in reports]
    hits = [call for calls in reports for place in truth for call in _hit(place, calls)]
    spans = [(call, call.span) for call in hits if call.span]
    at = dict(truth)
    total = sum(map(len, reports))
    return MethodScore(
        method=name,
        noise=0.0,
        change=0.0,
        found=len(hits) / (len(truth) * len(made)),
        exact=_share(call.run == at[call.series] for call in hits),
        held=_share(span[0] <= at[call.series] <= span[1] for call, span in spans),
        false_alarms=(total - sum(true)) / len(made),
        false_share=(total - sum(true)) / total if total else None,
    )


def _share(given: Iterable[bool]) -> float | None:
    answers = list(given)
    return sum(answers) / len(answers) if answers else None


def _is_true(call: DetectedChange, truth: set[tuple[int, int]]) -> bool:
    return any(call.series == row and abs(call.run - place) <= NEAR for row, place in truth)


def _hit(place: tuple[int, int], calls: Sequence[DetectedChange]) -> list[DetectedChange]:
    """Return the report nearest to a true change, if one is near."""
    near = [call for call in calls if _is_true(call, {place})]
    return sorted(near, key=lambda call: abs(call.run - place[1]))[:1]


def _threshold(share: float, values: Values) -> list[DetectedChange]:
    """Report every run that is slower than the previous one by more than a fixed share."""
    slower = values[:, 1:] > (1 + share) * values[:, :-1]
    return [DetectedChange(int(row), int(index) + 1) for row, index in np.argwhere(slower)]


def _change_points(values: Values, kinds: Sequence[str] | None = None) -> list[DetectedChange]:
    named = {str(row): line.tolist() for row, line in enumerate(values)}
    found = changes(named, kinds=dict.fromkeys(named, kinds) if kinds else None)
    return [
        DetectedChange(int(each.series), each.index, (each.earliest, each.latest)) for each in found
    ]


TREND = "vitbench trend: change points of ratios, by kind of machine"
DETECTORS: Mapping[str, Detector] = {
    "10 % against the run before, raw times": lambda history: _threshold(0.1, history.raw),
    "10 % against the run before, ratios": lambda history: _threshold(0.1, history.ratios),
    "change points of raw times": lambda history: _change_points(history.raw),
    "change points of ratios, kinds mixed": lambda history: _change_points(history.ratios),
    TREND: lambda history: _change_points(history.ratios, history.kinds),
}
