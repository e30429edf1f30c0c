"""bench.analysis.estimates: an interval's invariant, and Student's interval over passes."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.estimates import Interval, geometric

LOGS = st.lists(st.integers(-3000, 3000).map(lambda n: n / 1000), min_size=2, max_size=9)
DIFFERENT_LOGS = LOGS.filter(lambda logs: len(set(logs)) > 1)


@pytest.mark.parametrize(
    "bounds", [(0, 0, 1), (-1, -2, 1), (2, 2.1, 3), (2, 1, 1.9), (math.nan, 1, 2)]
)
def test_no_interval(bounds: tuple[float, float, float]) -> None:
    """An estimate that is not positive, or outside its bounds, is refused."""
    with pytest.raises(ValueError, match="expected 0 < low <= value <= high"):
        Interval(*bounds)


def test_scaled() -> None:
    """Scaling changes value and bounds alike and keeps missing bounds missing."""
    assert Interval(2.0, 1.0, 4.0).scaled(1e3) == Interval(2e3, 1e3, 4e3)
    assert Interval(2.0).scaled(1e3) == Interval(2e3)


@settings(deadline=None)
@given(logs=DIFFERENT_LOGS)
def test_geometric_is_students_interval(logs: list[float]) -> None:
    """The interval is scipy.stats' t interval of the logarithms."""
    found = geometric(logs)
    expected = stats.t.interval(0.95, len(logs) - 1, np.mean(logs), stats.sem(logs))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(expected)))


@settings(deadline=None)
@given(logs=LOGS, order=st.randoms(use_true_random=False))
def test_geometric_does_not_depend_on_order(logs: list[float], order: random.Random) -> None:
    """The mean lies inside its interval and does not depend on the order of passes."""
    found, shuffled = geometric(logs), geometric(order.sample(logs, len(logs)))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(math.exp(math.fsum(logs) / len(logs)))
    assert (shuffled.low, shuffled.high) == pytest.approx((found.low, found.high))


def test_one_pass_has_no_bounds() -> None:
    """One process gives a value without an interval."""
    found = geometric([math.log(1.5)])
    assert found.value == pytest.approx(1.5)
    assert (found.low, found.high) == (None, None)


def test_no_passes() -> None:
    """The mean of no passes is refused."""
    with pytest.raises(ValueError, match="no passes"):
        geometric([])
