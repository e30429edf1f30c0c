"""bench.analysis.looks: levels at which repeated looks keep their error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.looks import crossing, level

# Jennison and Turnbull 2000, table 2.1: Pocock's constants for an error of 5 %, by number of looks.
POCOCK = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 8: 2.512, 10: 2.555, 20: 2.672}
# Table 2.3: O'Brien and Fleming's constants for the same error.
FLEMING = {2: 1.977, 3: 2.004, 5: 2.040, 10: 2.087}
ERRORS = st.floats(1e-4, 0.2)


@pytest.mark.parametrize(("looks", "constant"), POCOCK.items())
def test_known_constants_have_the_known_error(looks: int, constant: float) -> None:
    """Looks with Pocock's constant cross it with a probability of 5 %."""
    assert sum(crossing((constant,) * looks)) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("looks", "constant"), FLEMING.items())
def test_known_falling_bounds_have_the_known_error(looks: int, constant: float) -> None:
    """Looks with O'Brien and Fleming's bounds cross one with a probability of 5 %."""
    bounds = tuple(constant * (looks / look) ** 0.5 for look in range(1, looks + 1))
    assert sum(crossing(bounds)) == pytest.approx(0.05, abs=2e-4)


def bounds(looks: int, error: float, *, is_last: bool) -> tuple[float, ...]:
    """Normal scores beyond which looks decide; the last one by a level of its own."""
    levels = [level(look, error) for look in range(1, looks)]
    levels.append(level(looks, error, is_last=is_last))
    return tuple(-stats.norm.ppf(each / 2) for each in levels)


@settings(deadline=None, max_examples=20)
@given(looks=st.integers(1, 12), error=ERRORS)
def test_the_error_is_spent_in_parts(looks: int, error: float) -> None:
    """After k looks k / (k + 2) of the error is spent; the last of several leaves 15 % at most."""
    spent = sum(crossing(bounds(looks, error, is_last=False)))
    assert spent == pytest.approx(error * looks / (looks + 2), rel=1e-4)
    all_ = error * max(0.85, looks / (looks + 2)) if looks > 1 else error
    assert sum(crossing(bounds(looks, error, is_last=True))) == pytest.approx(all_, rel=1e-4)


@given(error=ERRORS)
def test_a_single_look_has_the_usual_level(error: float) -> None:
    """One look alone decides at the whole error."""
    assert level(1, error, is_last=True) == pytest.approx(error)


@settings(deadline=None, max_examples=20)
@given(look=st.integers(1, 20), error=ERRORS)
def test_later_looks_need_more(look: int, error: float) -> None:
    """Levels fall from look to look, lie below the error, and a last look has more than others."""
    now, later = level(look, error), level(look + 1, error)
    assert 0 < later < now < error
    assert now <= level(look, error, is_last=True) <= error * (1 + 1e-9)


def test_more_looks_than_any_run_has() -> None:
    """Beyond sixty looks the level stays."""
    assert level(1000, 0.05) == level(60, 0.05) > 0


@pytest.mark.parametrize("look", [0, -1])
def test_looks_count_from_one(look: int) -> None:
    """There is no look before the first."""
    with pytest.raises(ValueError, match=f"look is {look}; expected 1 or more"):
        level(look, 0.05)


def first_crossings(first: int, last: int, histories: int = 40_000) -> float:
    """Share of histories of passes in which a look's one-sided t test finds what is not there.

    There is a look after each pass from the ``first`` to the ``last``.
    """
    passes = np.random.default_rng(first).normal(size=(histories, last))
    crossed = np.zeros(histories, dtype=bool)
    for count in range(first, last + 1):
        seen = passes[:, :count]
        scores = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / count**0.5)
        allowed = level(count - first + 1, 0.05, is_last=count == last) / 2
        crossed |= scores > stats.t.ppf(1 - allowed, count - 1)
    return float(crossed.mean())


@pytest.mark.parametrize(("first", "last"), [(2, 6), (3, 3), (3, 4), (3, 12), (5, 30)])
def test_students_t_keeps_the_error(first: int, last: int) -> None:
    """With few passes, of unknown spread, at most 2.5 % of histories err on one side."""
    # Three standard errors of the simulated share are 0.0023.
    assert 0.015 < first_crossings(first, last) < 0.0273
