"""Simulated histories: true changes found and false alarms of several methods.

The speed of the machine varies from run to run, as on hosted runners (10 to 30 %), and jumps now
and then to another kind of machine. Raw times contain all of that; ratios to a yardstick of the
same run contain only the part that does not cancel. A commit half-way makes some series lastingly
slower.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.analysis.change_points import changes

Values = NDArray[np.float64]


class DetectedChange(NamedTuple):
    """A change that a method reports: series, run, and the 95 % range of runs if it gives one."""

    series: int
    run: int
    span: tuple[int, int] | None = None


# A method maps raw times and ratios of a history to the changes that it reports.
Detector = Callable[[Values, Values], list[DetectedChange]]

# Standard deviations of logarithms: speed of a machine from run to run, noise that does not cancel
# in a ratio, jump to another kind of machine; and the mean number of runs between jumps.
_MACHINE, _REST, _JUMP, _JUMP_EVERY = 0.12, 0.02, 0.3, 20
# A change counts as found if a method reports it at most this number of runs away.
_NEAR = 3


@dataclass(frozen=True, kw_only=True)
class MethodScore:
    """Score of one method on histories in which some series became slower by ``change``.

    ``found`` is the share of true changes reported at most three runs away, ``exact`` the share of
    those reported at the very run, ``held`` the share of those whose 95 % range holds it (None
    without ranges). ``false_alarms`` is the number of false reports per history, ``false_share``
    their share of all reports.
    """

    method: str
    change: float
    found: float
    exact: float | None
    held: float | None
    false_alarms: float
    false_share: float | None


def simulate_histories(
    histories: int = 40, runs: int = 40, series: int = 20, change: float = 0.05, seed: int = 0
) -> list[MethodScore]:
    """Score every method on histories in which every fourth series changes half-way."""
    generator = np.random.default_rng(seed)
    made = [_history(generator, runs, series, change) for _ in range(histories)]
    truth = {(n, runs // 2) for n in range(0, series, 4)}
    return [_judge(name, method, made, truth, change) for name, method in DETECTORS.items()]


def _history(
    generator: np.random.Generator, runs: int, series: int, change: float
) -> tuple[Values, Values]:
    """Return raw times and ratios, each an array of (series, runs)."""
    jumps = generator.random(runs) < 1 / _JUMP_EVERY
    kind = np.cumsum(jumps * generator.normal(0, _JUMP, runs))
    machine = generator.normal(0, _MACHINE, runs) + kind
    ratios = generator.normal(0, _REST, (series, runs))
    ratios[::4, runs // 2 :] += np.log1p(change)
    return np.exp(ratios + machine), np.exp(ratios)


def _judge(
    name: str,
    method: Detector,
    made: Sequence[tuple[Values, Values]],
    truth: set[tuple[int, int]],
    change: float,
) -> MethodScore:
    reports = [method(*history) for history in made]
    true = [sum(_is_true(each, truth) for each in calls) for calls in reports]
    hits = [call for calls in reports for place in truth for call in _hit(place, calls)]
    spans = [(call, call.span) for call in hits if call.span]
    at = dict(truth)
    total = sum(map(len, reports))
    return MethodScore(
        method=name,
        change=change,
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
    return any(call.series == row and abs(call.run - place) <= _NEAR for row, place in truth)


def _hit(place: tuple[int, int], calls: Sequence[DetectedChange]) -> list[DetectedChange]:
    """Return the report nearest to a true change, if one is near."""
    near = [call for call in calls if _is_true(call, {place})]
    return sorted(near, key=lambda call: abs(call.run - place[1]))[:1]


def _threshold(share: float, values: Values) -> list[DetectedChange]:
    """Report every run that is slower than the previous one by more than a fixed share."""
    slower = values[:, 1:] > (1 + share) * values[:, :-1]
    return [DetectedChange(int(row), int(index) + 1) for row, index in np.argwhere(slower)]


def _change_points(values: Values) -> list[DetectedChange]:
    named = {str(row): [float(value) for value in line] for row, line in enumerate(values)}
    found = changes(named)
    return [
        DetectedChange(int(each.series), each.index, (each.earliest, each.latest)) for each in found
    ]


DETECTORS: Mapping[str, Detector] = {
    "10 % against the run before, raw times": lambda raw, _: _threshold(0.1, raw),
    "10 % against the run before, ratios": lambda _, ratios: _threshold(0.1, ratios),
    "change points of raw times": lambda raw, _: _change_points(raw),
    "vitbench trend: change points of ratios": lambda _, ratios: _change_points(ratios),
}
