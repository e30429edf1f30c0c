"""bench.analysis.regret: bounds on what the arms that were not chosen could gain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.estimates import Interval
from bench.analysis.regret import (
    Rival,
    combined_bound,
    error_of,
    expected_regret,
    interval_of,
    mean_of,
    rival_of,
    seconds_to_halve,
    upper_bound,
)

GAINS = st.floats(-0.3, 0.3)
ERRORS = st.floats(1e-4, 0.2)
RIVALS = st.builds(
    lambda gain, error: Rival(arm="a", log_gain=gain, error=error), gain=GAINS, error=ERRORS
)
CELLS = st.lists(st.lists(RIVALS, max_size=4), max_size=4)


def rival(log_gain: float, error: float) -> Rival:
    """Build a rival."""
    return Rival(arm="a", log_gain=log_gain, error=error)


@given(mean=GAINS, error=ERRORS)
def test_the_error_is_read_from_the_interval(mean: float, error: float) -> None:
    """An interval of 1.96 standard errors to each side gives that standard error."""
    half = 1.959963984540054 * error
    found = Interval(*(math.exp(each) for each in (mean, mean - half, mean + half)))
    assert error_of(found) == pytest.approx(error, rel=1e-6)
    assert error_of(Interval(1.0)) == math.inf


@given(gain=GAINS, error=ERRORS)
def test_the_expected_gain_is_that_of_a_normal(gain: float, error: float) -> None:
    """The closed form agrees with the mean of the positive parts of many draws."""
    draws = gain + error * np.random.default_rng(0).standard_normal(20_000)
    mean = float(np.maximum(draws, 0.0).mean())
    spread = float(np.maximum(draws, 0.0).std()) / math.sqrt(len(draws))
    assert rival(gain, error).expected == pytest.approx(mean, abs=5 * spread + 1e-3 * error)


@pytest.mark.parametrize("rivals", [1, 2, 5])
def test_the_bound_holds_in_95_percent(rivals: int) -> None:
    """Of rivals of equal gain, none lies above the bound in 95 % of many trials."""
    source, error, truth = np.random.default_rng(1), 0.02, 0.01
    held = 0
    for estimates in truth + error * source.standard_normal((2000, rivals)):
        bound = upper_bound([rival(float(each), error) for each in estimates])
        held += bound >= math.expm1(truth)
    assert held / 2000 > 0.94


@given(rivals=st.lists(RIVALS, min_size=1, max_size=5))
def test_the_chances_beyond_the_bound_sum_to_5_percent(rivals: list[Rival]) -> None:
    """Unless the bound is 0; and it lies between that of the worst alone and Bonferroni's."""
    bound = math.log1p(upper_bound(rivals))
    chance = sum(each.chance_beyond(bound) for each in rivals)
    assert chance == pytest.approx(0.05, abs=1e-4) if bound > 1e-9 else chance <= 0.05
    alone, bonferroni = (max(r.upper(count) for r in rivals) for count in (1, len(rivals)))
    assert max(alone, 0.0) - 1e-9 <= bound <= max(bonferroni, 0.0) + 1e-9


def test_a_rival_far_behind_widens_no_bound() -> None:
    """What cannot win does not make the others likelier to."""
    near, far = rival(0.01, 0.01), rival(-0.5, 0.01)
    assert upper_bound([near, far]) == pytest.approx(upper_bound([near]))
    assert far.chance_beyond(0.0) == pytest.approx(0.0)
    assert rival(0.1, 0.0).chance_beyond(0.05) == 1.0


def test_a_rival_that_was_not_measured_may_gain_anything() -> None:
    """One without a standard error makes every bound infinite."""
    unknown, known = rival(0.0, math.inf), rival(-0.1, 0.01)
    assert upper_bound([unknown, known]) == math.inf
    assert combined_bound([[known], [unknown]]) == math.inf
    assert expected_regret([unknown]) == math.inf
    assert seconds_to_halve([[unknown]], 10.0) is None


def test_nothing_is_regretted_without_rivals() -> None:
    """No rivals, or rivals that are certainly worse, leave a bound of 0."""
    assert upper_bound([]) == combined_bound([]) == combined_bound([[]]) == 0.0
    assert upper_bound([rival(-0.5, 0.01)]) == 0.0
    assert seconds_to_halve([[rival(-0.5, 0.01)]], 10.0) is None


@given(cells=CELLS)
def test_cells_together_lie_between_the_largest_and_the_sum(cells: list[list[Rival]]) -> None:
    """Factors' bounds add up at most, and together they are at least the largest of them."""
    alone = [math.log1p(upper_bound(rivals)) for rivals in cells]
    together = math.log1p(combined_bound(cells))
    assert max(alone, default=0.0) <= together + 1e-9
    assert together <= sum(alone) + 1e-9


@given(cells=CELLS, spent_s=st.floats(1.0, 1e3))
def test_the_seconds_halve_the_bound(cells: list[list[Rival]], spent_s: float) -> None:
    """After the stated time, errors that shrink with its root halve the bound."""
    need_s = seconds_to_halve(cells, spent_s)
    if need_s is None:
        return
    assert need_s > 0
    factor = math.sqrt(spent_s / (spent_s + need_s))
    after = combined_bound([[each.scaled(factor) for each in rivals] for rivals in cells])
    assert after == pytest.approx(combined_bound(cells) / 2, rel=1e-3)


def test_a_likely_gain_is_not_halved_by_time() -> None:
    """A rival that is probably better stays so, however long it is measured."""
    assert seconds_to_halve([[rival(0.05, 0.01)]], 60.0) is None
    halved = seconds_to_halve([[rival(0.0, 0.01)]], 60.0)
    assert halved == pytest.approx(180.0, rel=0.05)


@given(means=st.tuples(*[st.floats(-1, 1)] * 2), errors=st.tuples(*[st.floats(0.01, 0.5)] * 2))
def test_the_mean_of_two_measurements(
    means: tuple[float, float], errors: tuple[float, float]
) -> None:
    """Lies between them, nearer to the more precise one, with the error of both together."""
    first, second = (
        Interval(*(math.exp(mean + end * 1.959964 * error) for end in (0, -1, 1)))
        for mean, error in zip(means, errors, strict=True)
    )
    found = mean_of(first, second)
    shares = np.array(errors) ** -2 / np.sum(np.array(errors) ** -2)
    assert math.log(found.value) == pytest.approx(float(shares @ np.array(means)), abs=1e-9)
    assert error_of(found) == pytest.approx(np.sum(np.array(errors) ** -2) ** -0.5, rel=1e-4)
    assert mean_of(second, first).value == pytest.approx(found.value)


@pytest.mark.parametrize("second", [Interval(1.2), Interval(1.2, 1.2, 1.2)])
def test_without_a_width_the_first_stands(second: Interval) -> None:
    """A measurement without an interval says nothing about another."""
    first = Interval(1.0, 0.9, 1.1)
    assert mean_of(first, second) == first


@given(gain=GAINS, chosen=GAINS, error=ERRORS)
def test_a_rival_is_compared_with_the_choice(gain: float, chosen: float, error: float) -> None:
    """Its gain is relative to the choice, and both errors count."""
    half = 1.959963984540054 * error
    intervals = [
        Interval(*(math.exp(each) for each in (mean, mean - half, mean + half)))
        for mean in (gain, chosen)
    ]
    found = rival_of("a", *intervals)
    assert found.log_gain == pytest.approx(gain - chosen, abs=1e-9)
    assert found.error == pytest.approx(math.sqrt(2) * error, rel=1e-6)


@given(mean=GAINS, error=ERRORS)
def test_the_choice_has_the_inverse_gain_of_a_rival(mean: float, error: float) -> None:
    """The choice's gain over a rival is the inverse of the rival's, with the same error."""
    found = interval_of(rival(mean, error))
    assert found is not None
    assert found.value == pytest.approx(math.exp(-mean))
    assert error_of(found) == pytest.approx(error, rel=1e-6)
    assert interval_of(rival(mean, math.inf)) is None
