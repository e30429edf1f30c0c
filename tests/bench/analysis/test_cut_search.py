"""bench.analysis.cut_search: cuts of a series and of each kind's runs, with valid p-values."""

import numpy as np
import pytest

from bench.analysis.cut_search import Search, parts_of


def search(values: np.ndarray, kinds: list[str] | None = None, enough: int = 1000) -> Search:
    """Return the search for the cuts of a whole series."""
    part = next(parts_of("a", values, kinds, 3))
    return Search(part, 3, enough)


def test_each_kind_with_enough_runs_is_cut_alone() -> None:
    """With several kinds those with two segments of runs are parts, at their places."""
    kinds = ["x"] * 8 + ["y"] * 6 + ["z"] * 5
    whole, *alone = parts_of("a", np.arange(19.0), kinds, 3)
    assert (whole.kind, whole.names) == (None, ("x", "y", "z"))
    assert [each.kind for each in alone] == ["x", "y"]
    assert alone[1].places.tolist() == alone[1].values.tolist() == list(range(8, 14))
    assert len([*parts_of("a", np.arange(19.0), None, 3)]) == 1
    assert len([*parts_of("a", np.arange(8.0), ["x"] * 8, 3)]) == 1


def test_a_clear_cut_is_cut_further() -> None:
    """Both sides of a clear cut are cut, chance cuts are not; a tried cut has a p-value."""
    noise = np.random.default_rng(0).normal(0, 0.01, 30)
    (first, p_value), *more = search(noise + (np.arange(30) >= 12)).cuts(0, 30)
    assert first == 12
    assert p_value < 0.001
    assert len(more) >= 2
    ((_, chance),) = search(noise).cuts(0, 30)
    assert chance > 0.05


def test_rarer_p_values_take_more_orders() -> None:
    """The smallest p-value is as small as asked for."""
    values = np.repeat([0.0, 1.0], 15) + np.random.default_rng(1).normal(0, 0.01, 30)
    for enough in (1000, 20_000):
        assert next(search(values, enough=enough).cuts(0, 30))[1] <= 1 / enough


@pytest.mark.parametrize("kinds", [None, ["x", "y", "x"] * 6])
def test_p_values_of_noise_are_uniform(kinds: list[str] | None) -> None:
    """Of 200 series of noise about 5 % have a p-value below 5 %, and half one below a half."""
    generator = np.random.default_rng(2)
    found = [next(search(generator.normal(0, 1, 18), kinds).cuts(0, 18))[1] for _ in range(200)]
    assert 2 <= sum(each <= 0.05 for each in found) <= 20
    assert 80 <= sum(each <= 0.5 for each in found) <= 120


def test_what_cannot_be_cut_yields_nothing() -> None:
    """Too few runs, or kinds that never take turns, have no cut."""
    assert list(search(np.zeros(5)).cuts(0, 5)) == []
    assert list(search(np.zeros(10), ["x"] * 5 + ["y"] * 5).cuts(0, 10)) == []
