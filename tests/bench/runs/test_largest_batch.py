"""bench.runs.memory: the search for the largest batch within a limit."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bench.runs.memory import largest, largest_near


@st.composite
def costs(draw: st.DrawFn) -> list[float]:
    """Draw nondecreasing costs with steps of any size."""
    steps = draw(st.lists(st.floats(0, 1e12), min_size=1, max_size=200))
    total, found = 0.0, []
    for step in steps:
        total += step
        found.append(total)
    return found


@given(costs(), st.floats(0, 1e13))
def test_the_result_is_the_largest_that_fits(given_costs: list[float], limit: float) -> None:
    """The result equals that of an exhaustive search."""
    fitting = [place + 1 for place, cost in enumerate(given_costs) if cost <= limit]
    found = largest(lambda number: given_costs[number - 1], limit, len(given_costs))
    assert found == max(fitting, default=0)


@given(
    fixed=st.floats(0, 1e10),
    each=st.floats(1e3, 1e9),
    corner=st.integers(1, 1000),
    limit=st.floats(1e10, 1e12),
)
def test_a_nearly_linear_cost_needs_few_predictions(
    fixed: float, each: float, corner: int, limit: float
) -> None:
    """A cost of two linear parts needs at most 25 predictions, none repeated."""
    looked = []

    def cost(number: int) -> float:
        looked.append(number)
        return max(fixed + each * number, 2 * fixed + each * (number - corner) / 2)

    largest(cost, limit, 10**6)
    assert len(looked) == len(set(looked))
    assert len(looked) <= 25


@given(border=st.integers(0, 1000), guess=st.integers(0, 2000), most=st.integers(1, 1000))
def test_the_result_does_not_depend_on_the_guess(border: int, guess: int, most: int) -> None:
    """Any guess, also out of range, gives the largest number, and no trial is repeated."""
    tried = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= border

    assert largest_near(fits, guess, most) == min(border, most)
    assert len(tried) == len(set(tried))
    assert set(tried) <= set(range(1, most + 1))


@given(border=st.integers(100, 10**5), off=st.floats(-0.05, 0.05))
def test_a_good_guess_needs_few_trials(border: int, off: float) -> None:
    """A guess within five percent needs a logarithmic number of trials."""
    tried = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= border

    assert largest_near(fits, round(border * (1 + off)), 10**6) == border
    assert len(tried) <= 4 + 2 * math.log2(max(border * 0.1, 2))
