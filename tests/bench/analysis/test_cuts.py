"""bench.analysis.cuts: the best cut of runs of several kinds is that of a fitted model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.cuts import (
    best_cuts,
    centred,
    coded,
    counts_before,
    levelled,
    possible_cuts,
    shuffled,
    variances,
)

KINDS = st.lists(st.integers(0, 2), min_size=8, max_size=25)


def made(kinds: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return codes, and values of a level for each kind."""
    codes = np.array(kinds, dtype=np.intp)
    values = np.random.default_rng(seed).normal(0, 1, len(kinds)) + 5.0 * codes
    return codes, values


def squares_left(columns: list[np.ndarray], values: np.ndarray) -> float:
    """Return the sum of squares that a least-squares fit leaves."""
    design = np.stack(columns, axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(((values - fitted) ** 2).sum())


def test_kinds_are_coded_by_their_number_of_runs() -> None:
    """The commonest kind is 0; equally common ones are in the order of their names."""
    codes, names = coded(["b", "c", "c", "a"])
    assert names == ("c", "a", "b")
    assert codes.tolist() == [2, 0, 0, 1]
    assert coded([])[1] == ()


def test_runs_are_counted_by_kind() -> None:
    """Row n holds how many of the first n runs each kind has."""
    found = counts_before(np.array([0, 1, 1], dtype=np.intp))
    assert found.tolist() == [[0, 0], [1, 0], [1, 1], [1, 2]]


def test_a_cut_needs_counterparts() -> None:
    """Each side has runs whose kind is on the other side too: none where kinds change over."""
    one = np.zeros(7, dtype=np.intp)
    assert possible_cuts(one, 3)[0].tolist() == [3, 4]
    over = np.array([0] * 4 + [1] * 4, dtype=np.intp)
    assert possible_cuts(over, 2)[0].tolist() == [2, 6]
    assert possible_cuts(np.array([], dtype=np.intp), 2)[0].size == 0


@settings(max_examples=60, deadline=None)
@given(kinds=KINDS, seed=st.integers(0, 999))
def test_a_cut_explains_what_a_fitted_shift_does(kinds: list[int], seed: int) -> None:
    """The explained variance is the fall of squares by one shift beside a level for each kind."""
    codes, values = made(kinds, seed)
    levels = [codes == code for code in np.unique(codes)]
    places, explained, total = variances(values[None], codes, 2)
    assert total[0] == pytest.approx(squares_left(levels, values))
    for place, each in zip(places, explained[0], strict=True):
        left = squares_left([*levels, np.arange(len(values)) >= place], values)
        assert total[0] - each == pytest.approx(left, abs=1e-9)


def test_the_best_cut_is_where_most_is_explained() -> None:
    """The statistic is the largest explained variance / what then remains."""
    codes, values = made([0, 1] * 8)
    values[7:] += 9
    places, explained, total = variances(values[None], codes, 3)
    place, statistic = best_cuts(values[None], codes, 3)
    assert place[0] == places[explained[0].argmax()] == 7
    assert statistic[0] == pytest.approx(explained.max() / (total[0] - explained.max()))


@settings(max_examples=30, deadline=None)
@given(kinds=KINDS, seed=st.integers(0, 99))
def test_random_orders_stay_within_kinds(kinds: list[int], seed: int) -> None:
    """Each kind keeps its values, in another order; centred values of a kind sum to zero."""
    codes, values = made(kinds)
    rows = shuffled(np.random.default_rng(seed), np.tile(values, (3, 1)), codes)
    for code in np.unique(codes):
        for row in rows:
            assert sorted(row[codes == code]) == sorted(values[codes == code])
        assert centred(rows, codes)[:, codes == code].sum(axis=1) == pytest.approx(0, abs=1e-9)


def test_orders_differ_from_row_to_row() -> None:
    """Rows are put into order independently, with one kind and with two."""
    for kinds in ([0] * 20, [0, 1] * 10):
        codes, values = made(kinds)
        rows = shuffled(np.random.default_rng(0), np.tile(values, (4, 1)), codes)
        assert len({tuple(row) for row in rows}) == 4


def test_levels_of_kinds_are_taken_out() -> None:
    """Values read as of the commonest kind, also where a kind is seen after a change only."""
    codes = np.array([0, 0, 0, 0, 1, 0, 0, 1, 0, 2, 0], dtype=np.intp)
    shift = np.where(np.arange(11) >= 6, 0.5, 0.0)
    values = shift + np.array([0.0, 2.0, -1.0])[codes]
    assert levelled(values, codes, [6]) == pytest.approx(shift)
    assert levelled(values[codes == 0], codes[codes == 0], []) == pytest.approx(shift[codes == 0])
