"""bench.analysis.local_level: what a machine's spells do to neighbours is taken out of times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.estimates import Floats
from bench.analysis.local_level import Integers, without_level

CALLS, PARTS, ARMS = 15, 16, 4
# Logarithms of the times of each arm.
EFFECTS = np.array([0.0, 0.05, -0.1, 0.3])


def drawn(source: np.random.Generator) -> tuple[Integers, Integers]:
    """Draw the arms of each part of some calls, in equal numbers: cells and calls."""
    draws = [source.permutation(np.arange(PARTS) % ARMS) for _ in range(CALLS)]
    return np.concatenate(draws).astype(np.int64), np.repeat(np.arange(CALLS), PARTS)


def spells(source: np.random.Generator, correlation: float) -> Floats:
    """Return a level that lasts for some parts, with a sudden burst."""
    level = np.zeros(CALLS * PARTS)
    for place in range(1, len(level)):
        step = source.normal(0, 0.05 * np.sqrt(1 - correlation**2))
        level[place] = correlation * level[place - 1] + step
    start = source.integers(len(level) - 5)
    level[start : start + 5] += 0.4
    return level


def contrasts(log_times: Floats, cells: Integers) -> Floats:
    """Return by how much each arm's median differs from the first arm's."""
    medians = np.array([np.median(log_times[cells == arm]) for arm in range(ARMS)])
    return np.asarray(medians - medians[0])


def test_neighbours_share_a_spell() -> None:
    """Contrasts of arms scatter by a third less, about what the arms differ by."""
    source = np.random.default_rng(0)
    raw, found = [], []
    for _ in range(60):
        cells, calls = drawn(source)
        log_times = EFFECTS[cells] + spells(source, 0.9) + source.normal(0, 0.01, len(cells))
        raw.append(contrasts(log_times, cells) - EFFECTS)
        found.append(contrasts(without_level(log_times, cells, calls), cells) - EFFECTS)
    assert np.std(found) < 0.67 * np.std(raw)
    assert np.abs(np.mean(found, axis=0)).max() < 4 * np.std(found) / np.sqrt(len(found))


def test_noise_of_single_parts_stays_as_it_is() -> None:
    """Where neighbours share nothing, little is lost."""
    source = np.random.default_rng(1)
    raw, found = [], []
    for _ in range(60):
        cells, calls = drawn(source)
        log_times = EFFECTS[cells] + source.normal(0, 0.05, len(cells))
        raw.append(contrasts(log_times, cells) - EFFECTS)
        found.append(contrasts(without_level(log_times, cells, calls), cells) - EFFECTS)
    assert np.std(found) < 1.15 * np.std(raw)


@settings(deadline=None, max_examples=20)
@given(levels=st.lists(st.floats(-2, 2), min_size=CALLS, max_size=CALLS), seed=st.integers(0, 99))
def test_the_level_of_a_whole_call_cancels(levels: list[float], seed: int) -> None:
    """Calls that are slower as a whole give every arm the time that equal calls give it."""
    source = np.random.default_rng(seed)
    cells, calls = drawn(source)
    log_times = EFFECTS[cells] + source.normal(0, 0.02, len(cells))
    slowed = without_level(log_times + np.array(levels)[calls], cells, calls)
    found = slowed - without_level(log_times, cells, calls)
    medians = [np.median(found[cells == cell]) for cell in np.unique(cells)]
    assert np.ptp(medians) == pytest.approx(0.0, abs=0.02)


def test_times_without_noise_are_kept() -> None:
    """Their size, too: a median level is none."""
    cells, calls = drawn(np.random.default_rng(2))
    log_times = 1.5 + EFFECTS[cells]
    assert without_level(log_times, cells, calls) == pytest.approx(log_times)


def test_parts_without_neighbours_are_kept() -> None:
    """A call of one part has nothing to compare it with."""
    log_times = np.array([1.0, 2.0, 5.0])
    numbers = np.arange(3)
    assert without_level(log_times, np.zeros(3, dtype=np.int64), numbers) == pytest.approx(
        log_times
    )


def test_no_times_have_no_level() -> None:
    """An interrupt may come before the first call."""
    nothing = np.array([], dtype=np.int64)
    assert len(without_level(np.array([]), nothing, nothing)) == 0


def test_lengths_that_differ_are_an_error() -> None:
    """Each time has its cell and its call."""
    with pytest.raises(ValueError, match="2 times, 1 cells, 2 calls differ"):
        without_level(np.zeros(2), np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64))
