"""bench.analysis.estimates: properties of one process's ratio and of its variance."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.estimates import (
    PassEstimate,
    estimate_pass,
    log_correction,
    within_process,
)

TIMES_S = st.floats(1e-6, 1e3)
RATIOS = st.floats(0.1, 10)
PAIRS = st.lists(st.tuples(TIMES_S, TIMES_S), min_size=1, max_size=15)
# At least two pairs in each order, so that both arms go first.
BOTH_ORDERS = st.lists(st.tuples(TIMES_S, TIMES_S), min_size=2, max_size=15)


def estimate(pairs: Sequence[tuple[float, float]], disturbed: Sequence[int] = ()) -> PassEstimate:
    """The estimate of pairs of a baseline's and an arm's time."""
    return estimate_pass([b for b, _ in pairs], [a for _, a in pairs], disturbed)


def correlated(seed: int, count: int, correlation: float, deviation: float = 0.02) -> list[float]:
    """Normal noise whose neighbours are correlated."""
    values = np.random.default_rng(seed).normal(0, deviation, count)
    for index in range(1, count):
        fresh = math.sqrt(1 - correlation**2) * values[index]
        values[index] = correlation * values[index - 1] + fresh
    return [float(value) for value in values]


def of_logs(logs: Sequence[float]) -> PassEstimate:
    """The estimate of pairs with these logarithms of their ratios."""
    return estimate_pass(np.exp(logs).tolist(), [1.0] * len(logs))


@settings(deadline=None)
@given(ratio=RATIOS, drift=st.lists(TIMES_S, min_size=1, max_size=15))
def test_drift_cancels(ratio: float, drift: list[float]) -> None:
    """A slow-down of both calls of a pair changes neither the ratio nor its variance."""
    found = estimate([(ratio * each_s, each_s) for each_s in drift])
    assert found.log_ratio == pytest.approx(math.log(ratio), abs=1e-9)
    assert found.variance == pytest.approx(0, abs=1e-18)
    assert (found.rounds, found.left_out) == (len(drift), 0)


@settings(deadline=None)
@given(
    calm=st.lists(st.floats(0.9, 1.1), min_size=24, max_size=24),
    wild=st.dictionaries(st.integers(0, 3), st.tuples(TIMES_S, TIMES_S)),
    step=st.sampled_from([3, 5, 6]),
)
def test_a_third_of_wild_pairs_moves_little(
    calm: list[float], wild: dict[int, tuple[float, float]], step: int
) -> None:
    """With a third of the pairs of each order wild, the ratio stays within the calm ones."""
    pairs = [(ratio, 1.0) for ratio in calm]
    for index in range(0, 24, step):
        pairs[index] = wild.get(index // step % 4, pairs[index])
    found = math.exp(estimate(pairs).log_ratio)
    assert min(calm) - 1e-9 <= found <= max(calm) + 1e-9


@settings(deadline=None)
@given(pairs=BOTH_ORDERS, second=st.floats(0.5, 2))
def test_going_second_cancels(pairs: list[tuple[float, float]], second: float) -> None:
    """The cost of going second favours neither arm, also for an odd number of pairs."""
    slowed = [
        (b * second, a) if index % 2 else (b, a * second) for index, (b, a) in enumerate(pairs)
    ]
    before, after = estimate(pairs), estimate(slowed)
    assert after.log_ratio == pytest.approx(before.log_ratio, abs=1e-9)


@settings(deadline=None)
@given(pairs=PAIRS, factor=st.floats(1e-3, 1e3))
def test_unit_does_not_matter(pairs: list[tuple[float, float]], factor: float) -> None:
    """Times in another unit have the same ratio and variance."""
    before, after = estimate(pairs), estimate([(factor * b, factor * a) for b, a in pairs])
    assert after.log_ratio == pytest.approx(before.log_ratio, abs=1e-9)
    assert after.variance == pytest.approx(before.variance, rel=1e-6, abs=1e-15)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_swapped_arms(pairs: list[tuple[float, float]]) -> None:
    """Swapping the arms inverts the ratio and keeps its variance."""
    there, back = estimate(pairs), estimate([(a, b) for b, a in pairs])
    assert back.log_ratio == pytest.approx(-there.log_ratio, abs=1e-9)
    assert back.variance == pytest.approx(there.variance, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize(("baseline", "arm"), [(3, 2), (2, 3), (1, 0), (0, 0)])
def test_no_pairs(baseline: int, arm: int) -> None:
    """Unequal or empty lists of times are refused with their lengths."""
    with pytest.raises(ValueError, match=f"{baseline} baseline and {arm} arm times"):
        estimate_pass([1.0] * baseline, [1.0] * arm)


@pytest.mark.parametrize(
    ("rounds", "disturbed", "left_out"),
    [
        (12, range(6), 6),
        (12, range(7), 0),  # five calm ones are too few
        (10, range(4), 4),
        (10, range(5), 0),
        (40, range(20), 20),
        (40, range(21), 0),  # less than half were calm
        (12, range(1, 12, 2), 0),  # in all calm pairs the baseline went first
        (12, (99,), 0),
        (12, (), 0),
    ],
)
def test_disturbed_pairs_are_left_out_where_enough_are_calm(
    rounds: int, disturbed: Sequence[int], left_out: int
) -> None:
    """Disturbed pairs are left out if half of the pairs, at least six, of both orders remain."""
    found = estimate([(1.0 + index, 1.0) for index in range(rounds)], disturbed)
    assert (found.left_out, found.rounds) == (left_out, rounds - left_out)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(TIMES_S, TIMES_S), min_size=8, max_size=8), data=st.data())
def test_left_out_pairs_have_no_effect(
    pairs: list[tuple[float, float]], data: st.DataObject
) -> None:
    """The values of left-out pairs do not change the estimate."""
    disturbed = [2, 5]
    others = [
        data.draw(st.tuples(TIMES_S, TIMES_S)) if index in disturbed else pair
        for index, pair in enumerate(pairs)
    ]
    assert estimate(pairs, disturbed) == estimate(others, disturbed)


@pytest.mark.parametrize(
    ("logs", "variance"),
    [([0.3], 0.0), ([0.1, 0.3], 0.04), ([0.1, 0.0, 0.5], 0.25)],
)
def test_few_pairs_count_with_their_whole_spread(logs: list[float], variance: float) -> None:
    """Below four pairs the widest difference stands in for the spread."""
    assert of_logs(logs).variance == pytest.approx(variance)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_variance_is_that_of_the_estimate(correlation: float) -> None:
    """Over simulated passes the claimed variance matches the scatter of the estimates."""
    found = [of_logs(correlated(seed, 40, correlation)) for seed in range(400)]
    scatter = np.var([each.log_ratio for each in found])
    assert 0.75 < np.mean([each.variance for each in found]) / scatter < 1.6


@pytest.mark.parametrize("rounds", [4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 24])
def test_the_mean_logarithm_of_a_variance_is_corrected(rounds: int) -> None:
    """With its correction the geometric mean of many variances is that of the estimates."""
    found = [of_logs(correlated(seed, rounds, 0.0)) for seed in range(2000)]
    scatter = math.log(np.var([each.log_ratio for each in found]))
    claimed = float(np.mean([math.log(each.variance) for each in found]))
    assert claimed + log_correction(rounds) == pytest.approx(scatter, abs=0.16)


@pytest.mark.parametrize("rounds", [1, 2, 3, 12, 1000])
def test_no_correction_beyond_the_table(rounds: int) -> None:
    """Variances from a range, and those of many pairs, are taken as they are."""
    assert log_correction(rounds) == 0


def test_correlation_makes_less_sure() -> None:
    """Correlated neighbouring pairs raise the variance of the estimate."""
    variances = [
        np.mean([of_logs(correlated(seed, 60, correlation)).variance for seed in range(100)])
        for correlation in (0.0, 0.3, 0.6, 0.9)
    ]
    assert variances == sorted(variances)
    assert variances[-1] > 4 * variances[0]


@settings(deadline=None)
@given(logs=st.lists(st.floats(-1, 1), min_size=4, max_size=30), order=st.randoms())
def test_the_variance_is_bounded(logs: list[float], order: random.Random) -> None:
    """For any order of pairs the variance is finite and below that of a single pair."""
    found = of_logs(order.sample(logs, len(logs)))
    assert 0 <= found.variance <= np.ptp(logs) ** 2 * 1.4826**2 * math.pi / 2


@given(resolution_s=st.floats(1e-9, 1e-3))
def test_the_steps_of_a_clock_stay_in_the_variance(resolution_s: float) -> None:
    """Calls on one step of the clock keep the step's variance, at any number of calls."""
    few, many = (
        estimate_pass([0.01] * count, [0.01] * count, (), resolution_s) for count in (6, 60)
    )
    assert few.variance == many.variance == pytest.approx(2 * (resolution_s / 0.01) ** 2 / 12)


@given(pairs=st.lists(st.tuples(TIMES_S, TIMES_S), min_size=1, max_size=60))
def test_the_interval_within_a_process_holds_its_estimate(pairs: list[tuple[float, float]]) -> None:
    """The value is the estimate of the pass; bounds lie around it, and none are of one pair."""
    baseline, arm = ([pair[index] for pair in pairs] for index in (0, 1))
    found = within_process(baseline, arm)
    assert found.value == pytest.approx(math.exp(estimate_pass(baseline, arm).log_ratio))
    if len(pairs) == 1:
        assert (found.low, found.high) == (None, None)
    else:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("rounds", [2, 3, 6, 20, 50])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_interval_within_a_process_covers_the_ratio(rounds: int, correlation: float) -> None:
    """It holds the true ratio in about 95 % of processes, for few pairs and correlated ones too."""
    generator = np.random.default_rng(rounds)
    truth, trials, held = 1.3, 300, 0
    for _ in range(trials):
        noise = generator.normal(size=rounds + 30)
        for place in range(1, len(noise)):
            noise[place] += correlation * noise[place - 1]
        arm = generator.uniform(1, 2, rounds)
        # Going second costs 4 %.
        second = np.where(np.arange(rounds) % 2, 1.04, 1 / 1.04)
        slow = truth * arm * second * np.exp(0.02 * noise[30:])
        found = within_process(slow.tolist(), arm.tolist())
        held += (found.low or 0.0) <= truth <= (found.high or math.inf)
    assert held / trials > 0.91, held


def test_more_pairs_make_the_interval_within_a_process_narrower() -> None:
    """With four times the pairs of equal noise, the interval is at most 0.7 times as wide."""
    generator = np.random.default_rng(4)

    def width(rounds: int) -> float:
        widths = []
        for _ in range(40):
            found = within_process(generator.lognormal(0, 0.02, rounds).tolist(), [1.0] * rounds)
            widths.append(math.log((found.high or math.inf) / (found.low or 0.0)))
        return float(np.mean(widths))

    assert width(24) < 0.7 * width(6)
    assert width(96) < 0.7 * width(24)
