"""bench.analysis.run_noise: a history's noise, and what is found amid it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.change_points import changes
from bench.analysis.run_noise import NEAR, NOISES, power, published_noise, run_noise


def series(noise: float, seed: int, count: int = 400) -> tuple[np.ndarray, list[str]]:
    """Return values with this noise on two kinds of machine of different levels."""
    generator = np.random.default_rng(seed)
    kinds = generator.choice(["first", "second"], count)
    logs = generator.normal(0, noise, count) + np.where(kinds == "second", 0.5, 0.0)
    return np.exp(logs), kinds.tolist()


@settings(max_examples=20, deadline=None)
@given(noise=st.floats(0.005, 0.2), seed=st.integers(0, 1000))
def test_noise_is_estimated_within_a_kind(noise: float, seed: int) -> None:
    """The estimate is near the truth, whatever the levels of kinds, changes and outliers."""
    values, kinds = series(noise, seed)
    values[200:] *= 1.5
    values[::50] *= 2
    assert run_noise(values.tolist(), kinds) == pytest.approx(noise, rel=0.3)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_units_do_not_matter(factor: float, seed: int) -> None:
    """The noise of logarithms has no unit."""
    values, kinds = series(0.03, seed, 20)
    assert run_noise((factor * values).tolist(), kinds) == pytest.approx(
        run_noise(values.tolist(), kinds) or 0.0
    )


def test_few_runs_have_no_noise() -> None:
    """Fewer than five steps within kinds give None, not a guess; equal values give 0."""
    assert run_noise([1.0] * 5, ["a"] * 5) is None
    assert run_noise([1.0] * 6, ["a"] * 6) == 0
    assert run_noise([1.0] * 6, list("abcdef")) is None


def test_the_published_line_is_the_next_noisier_one() -> None:
    """The line that applies is never less noisy than the history; beyond the last there is none."""
    assert published_noise(0.0) == published_noise(0.02) == NOISES[0] == 0.02
    assert published_noise(0.021) == 0.04
    assert published_noise(0.08) == 0.08
    assert published_noise(0.081) is None


def test_the_smallest_change_is_found_as_often_as_said() -> None:
    """Changes of the stated size are found in about 95 % of histories by ``changes`` itself."""
    kinds = (["first", "second", "first"] * 10)[:30]
    size = power(0.03, kinds, tests=3).smallest
    assert size is not None
    found = 0
    for seed in range(100):
        values = np.exp(np.random.default_rng(seed).normal(0, 0.03, 30))
        values[15:] *= 1 + size
        made = changes({"a": values.tolist()}, kinds={"a": kinds})
        found += any(abs(each.index - 15) <= NEAR for each in made)
    assert found >= 88


def test_power_grows_with_runs_and_falls_with_noise_and_series() -> None:
    """More runs find smaller changes; more noise, more series and more kinds larger ones."""
    kinds = ["first"] * 40
    usual = power(0.04, kinds, 20)
    assert usual.smallest is not None
    others = [power(0.08, kinds, 20), power(0.04, kinds, 200), power(0.04, kinds[:20], 20)]
    others += [power(0.04, (["first"] * 3 + ["second"]) * 10, 60)]
    for each in others:
        assert each.smallest is not None
        assert each.smallest > usual.smallest
        assert each.found < usual.found
    assert power(0.04, kinds, 20, change=usual.smallest).found >= 0.95


def test_too_few_runs_find_nothing() -> None:
    """Where no order of the runs is rare enough, or none can be cut, nothing can be found."""
    for kinds in (["a"] * 7, list("ab") * 3, list("abcdef"), ["a"] * 10 + ["b"] * 2):
        assert power(0.01, kinds, 61).smallest is None
        assert power(0.01, kinds, 61).found == 0


def test_no_noise_finds_any_change() -> None:
    """A history without noise finds every change."""
    assert power(0.0, ["a"] * 20, 5).found == 1
