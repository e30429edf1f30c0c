"""bench.analysis.intervals: properties of the ratio of pairs and of the interval over passes."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from bench.analysis.intervals import Interval, geometric, pass_log_ratio

TIMES_S = st.floats(1e-6, 1e3)
RATIOS = st.floats(0.1, 10)
LOGS = st.lists(st.integers(-3000, 3000).map(lambda n: n / 1000), min_size=2, max_size=9)
DIFFERENT_LOGS = LOGS.filter(lambda logs: len(set(logs)) > 1)
PAIRS = st.lists(st.tuples(TIMES_S, TIMES_S), min_size=1, max_size=15)


def split(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Baseline times and arm times of some pairs."""
    return [baseline for baseline, _ in pairs], [arm for _, arm in pairs]


@pytest.mark.parametrize("bounds", [(0, 0, 1), (-1, -2, 1), (2, 2.1, 3), (2, 1, 1.9)])
def test_no_interval(bounds: tuple[float, float, float]) -> None:
    """An estimate that is not positive, or outside its bounds, is refused."""
    with pytest.raises(ValueError, match="expected 0 < low <= value <= high"):
        Interval(*bounds)


def test_scaled() -> None:
    """Scaling changes value and bounds alike; bounds that are missing stay missing."""
    assert Interval(2.0, 1.0, 4.0).scaled(1e3) == Interval(2e3, 1e3, 4e3)
    assert Interval(2.0).scaled(1e3) == Interval(2e3)


@settings(deadline=None)
@given(ratio=RATIOS, drift=st.lists(TIMES_S, min_size=1, max_size=15))
def test_drift_cancels(ratio: float, drift: list[float]) -> None:
    """What slows both calls of a pair alike does not change the ratio at all."""
    found = pass_log_ratio([ratio * each_s for each_s in drift], drift)
    assert found == pytest.approx(math.log(ratio), abs=1e-9)


@settings(deadline=None)
@given(
    ratio=RATIOS,
    wild=st.dictionaries(st.integers(0, 19), st.tuples(TIMES_S, TIMES_S), max_size=4),
)
def test_disturbed_pairs(ratio: float, wild: dict[int, tuple[float, float]]) -> None:
    """Four wild pairs among twenty change nothing, wherever they are."""
    pairs = [wild.get(index, (ratio, 1.0)) for index in range(20)]
    assert pass_log_ratio(*split(pairs)) == pytest.approx(math.log(ratio), abs=1e-9)


@settings(deadline=None)
@given(ratio=RATIOS, second=st.floats(0.5, 2), pairs=st.integers(2, 15))
def test_going_second_cancels(ratio: float, second: float, pairs: int) -> None:
    """What the second call of a pair costs is in neither arm's favour, also in odd numbers."""
    baseline = [ratio * (second if index % 2 else 1) for index in range(pairs)]
    arm = [1 if index % 2 else second for index in range(pairs)]
    assert pass_log_ratio(baseline, arm) == pytest.approx(math.log(ratio), abs=1e-9)


@settings(deadline=None)
@given(pairs=PAIRS, factor=st.floats(1e-3, 1e3))
def test_unit_does_not_matter(pairs: list[tuple[float, float]], factor: float) -> None:
    """Times in another unit have the same ratio."""
    baseline, arm = split(pairs)
    scaled = pass_log_ratio([factor * b for b in baseline], [factor * a for a in arm])
    assert scaled == pytest.approx(pass_log_ratio(baseline, arm), abs=1e-9)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_swapped_arms(pairs: list[tuple[float, float]]) -> None:
    """The arm over the baseline is the inverse of the baseline over the arm."""
    baseline, arm = split(pairs)
    assert pass_log_ratio(arm, baseline) == pytest.approx(-pass_log_ratio(baseline, arm), abs=1e-9)


@pytest.mark.parametrize(("baseline", "arm"), [(3, 2), (2, 3), (1, 0), (0, 0)])
def test_no_pairs(baseline: int, arm: int) -> None:
    """Times that do not make pairs are refused, with how many there are."""
    with pytest.raises(ValueError, match=f"{baseline} baseline and {arm} arm times"):
        pass_log_ratio([1.0] * baseline, [1.0] * arm)


@settings(deadline=None)
@given(logs=DIFFERENT_LOGS)
def test_geometric_is_students_interval(logs: list[float]) -> None:
    """The interval is scipy.stats' t interval of the logarithms."""
    found = geometric(logs)
    expected = stats.t.interval(0.95, len(logs) - 1, np.mean(logs), stats.sem(logs))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(expected)))


@settings(deadline=None)
@given(logs=LOGS, order=st.randoms(use_true_random=False))
def test_geometric_knows_no_order(logs: list[float], order: random.Random) -> None:
    """The mean is inside its interval, whichever pass came first."""
    found, shuffled = geometric(logs), geometric(order.sample(logs, len(logs)))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(math.exp(math.fsum(logs) / len(logs)))
    assert (shuffled.low, shuffled.high) == pytest.approx((found.low, found.high))


def test_one_pass_has_no_bounds() -> None:
    """One process says nothing about the next: a value without an interval."""
    found = geometric([math.log(1.5)])
    assert found.value == pytest.approx(1.5)
    assert (found.low, found.high) == (None, None)


def test_no_passes() -> None:
    """There is no mean of nothing."""
    with pytest.raises(ValueError, match="no passes"):
        geometric([])


def noise(generator: np.random.Generator, pairs: int) -> NDArray[np.float64]:
    """Logarithms of times: each call remembers 0.7 of what disturbed the one before."""
    values = generator.normal(0, 0.02, 2 * pairs)
    for index in range(1, 2 * pairs):
        values[index] += 0.7 * values[index - 1]
    return values


def simulated_pass(generator: np.random.Generator, log_ratio: float, pairs: int) -> float:
    """One process with an effect of its own, noise, drift, a cost of going second, outliers."""
    first, second = noise(generator, pairs).reshape(pairs, 2).T
    drift = np.linspace(0, generator.normal(0, 0.3), pairs)
    swapped = np.arange(pairs) % 2 == 1
    second = second + 0.05 + 1.0 * (generator.random(pairs) < 0.05)
    arm = np.where(swapped, first, second) + drift
    baseline = np.where(swapped, second, first) + drift
    baseline += log_ratio + generator.normal(0, 0.01)
    return pass_log_ratio(np.exp(baseline).tolist(), np.exp(arm).tolist())


def test_interval_covers_the_truth() -> None:
    """Over 2,000 simulated runs of three passes, 95 % intervals cover about as often."""
    generator, truth, runs = np.random.default_rng(20260102), 1.05, 2000
    covered = 0
    for _ in range(runs):
        found = geometric([simulated_pass(generator, math.log(truth), 20) for _ in range(3)])
        covered += (found.low or 0) <= truth <= (found.high or 0)
    assert 0.93 <= covered / runs <= 0.97
