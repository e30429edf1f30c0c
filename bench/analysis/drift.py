"""Simulated histories: what is found, and what is told that is not there, by several methods.

Each run is on a machine that is faster or slower than the last one's, as hosted runners are (10 to
30 % apart), and every so often on another kind. Raw times have all of that in them; ratios to a
yardstick of the same run have only what does not cancel. In some histories a commit makes some
series lastingly slower.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.changes import changes

Values = NDArray[np.float64]
# A history gives for each series the indices at which it is called changed.
Method = Callable[[Values, Values], list[tuple[int, int]]]

# Standard deviations of logarithms: of a machine's speed from run to run, of what does not cancel
# in a ratio, and the jump to another kind of machine, once in so many runs.
_MACHINE, _REST, _JUMP, _JUMP_EVERY = 0.12, 0.02, 0.3, 20
# A change counts as found where it is told no further than this from its place.
_NEAR = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one method said of histories in which some series became slower by ``change``.

    ``found`` is the share of true changes told, ``false_alarms`` the number told per history where
    there is none, ``false_share`` the share of all that is told.
    """

    method: str
    change: float
    found: float
    false_alarms: float
    false_share: float | None


def simulate_histories(
    histories: int = 40, runs: int = 40, series: int = 20, change: float = 0.05, seed: int = 0
) -> list[Found]:
    """Try every method on histories in which every fourth series changes half-way."""
    generator = np.random.default_rng(seed)
    made = [_history(generator, runs, series, change) for _ in range(histories)]
    truth = {(n, runs // 2) for n in range(0, series, 4)}
    return [_judge(name, method, made, truth, change) for name, method in METHODS.items()]


def _history(
    generator: np.random.Generator, runs: int, series: int, change: float
) -> tuple[Values, Values]:
    """Raw times and ratios of some series, each (series, runs)."""
    jumps = generator.random(runs) < 1 / _JUMP_EVERY
    kind = np.cumsum(jumps * generator.normal(0, _JUMP, runs))
    machine = generator.normal(0, _MACHINE, runs) + kind
    ratios = generator.normal(0, _REST, (series, runs))
    ratios[::4, runs // 2 :] += np.log1p(change)
    return np.exp(ratios + machine), np.exp(ratios)


def _judge(
    name: str,
    method: Method,
    made: Sequence[tuple[Values, Values]],
    truth: set[tuple[int, int]],
    change: float,
) -> Found:
    told = [method(*history) for history in made]
    true = [sum(_is_true(each, truth) for each in calls) for calls in told]
    hits = [len({place for place in truth if _hit(place, calls)}) for calls in told]
    total = sum(map(len, told))
    return Found(
        method=name,
        change=change,
        found=sum(hits) / (len(truth) * len(made)),
        false_alarms=(total - sum(true)) / len(made),
        false_share=(total - sum(true)) / total if total else None,
    )


def _is_true(call: tuple[int, int], truth: set[tuple[int, int]]) -> bool:
    return any(call[0] == row and abs(call[1] - place) <= _NEAR for row, place in truth)


def _hit(place: tuple[int, int], calls: Sequence[tuple[int, int]]) -> bool:
    return any(row == place[0] and abs(index - place[1]) <= _NEAR for row, index in calls)


def _threshold(share: float, values: Values) -> list[tuple[int, int]]:
    """Every run that is slower than the one before by more than a fixed share."""
    slower = values[:, 1:] > (1 + share) * values[:, :-1]
    return [(int(row), int(index) + 1) for row, index in np.argwhere(slower)]


def _change_points(values: Values) -> list[tuple[int, int]]:
    named = {str(row): [float(value) for value in line] for row, line in enumerate(values)}
    return [(int(each.series), each.index) for each in changes(named)]


METHODS: Mapping[str, Method] = {
    "10 % against the run before, raw times": lambda raw, _: _threshold(0.1, raw),
    "10 % against the run before, ratios": lambda _, ratios: _threshold(0.1, ratios),
    "change points of raw times": lambda raw, _: _change_points(raw),
    "vitbench trend: change points of ratios": lambda _, ratios: _change_points(ratios),
}
