"""bench.analysis.replication: passes are replicates; comparisons share their spread."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.estimates import PassEstimate
from bench.analysis.replication import Effect, effect
from bench.analysis.spread import Spread, fit_spread
from helpers.records import make_effect, make_estimate

LOGS = st.integers(-3000, 3000).map(lambda n: n / 10000)
DIFFERENT_LOGS = st.lists(LOGS, min_size=2, max_size=6, unique=True)
EFFECTS = st.builds(make_effect, st.floats(-2, 2), st.floats(1e-4, 0.5), degrees=st.floats(1, 100))
ESTIMATES = st.builds(
    make_estimate, LOGS, variance=st.floats(1e-8, 1e-2), rounds=st.integers(2, 200)
)
GROUPS = st.lists(st.lists(ESTIMATES, min_size=1, max_size=5), min_size=2, max_size=6)
# Quantised clocks and very few pairs can give equal ratios without any variance.
DEGENERATE = st.builds(
    make_estimate,
    st.sampled_from([0.0, 0.5, -1.0]) | st.floats(-3, 3),
    variance=st.just(0.0) | st.floats(0, 1),
    rounds=st.integers(2, 200),
)


def group(logs: Sequence[float], variance: float = 1e-6) -> list[PassEstimate]:
    """Passes with given ratios and equal variances."""
    return [make_estimate(float(log), variance=variance) for log in logs]


def simulated(sds: Sequence[float], passes: int, seed: int = 0) -> list[list[PassEstimate]]:
    """One comparison for each standard deviation between its processes."""
    numbers = np.random.default_rng(seed)
    return [group(numbers.normal(0, sd, passes).tolist()) for sd in sds]


@settings(deadline=None)
@given(logs=DIFFERENT_LOGS, variance=st.floats(0, 1e-3))
def test_one_comparison_alone_has_students_interval(logs: list[float], variance: float) -> None:
    """The interval of a single comparison is scipy.stats' t interval of its passes."""
    passes = group(logs, variance)
    found = effect(passes, fit_spread([passes]))
    expected = stats.t.interval(0.95, len(logs) - 1, np.mean(logs), stats.sem(logs))
    interval = found.interval
    assert found.degrees == len(logs) - 1
    assert (interval.low, interval.high) == pytest.approx(tuple(np.exp(expected)))
    assert found.p_value == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)


def test_no_passes() -> None:
    """A comparison without passes is refused."""
    with pytest.raises(ValueError, match="no passes"):
        effect([], fit_spread([]))


@settings(deadline=None, max_examples=50)
@given(groups=GROUPS, order=st.randoms(use_true_random=False))
def test_order_does_not_matter(groups: list[list[PassEstimate]], order: random.Random) -> None:
    """Effects do not depend on the order of comparisons or passes."""
    shuffled = [order.sample(each, len(each)) for each in order.sample(groups, len(groups))]
    before, after = fit_spread(groups), fit_spread(shuffled)
    for passes in groups:
        mixed = order.sample(passes, len(passes))
        expected = astuple(effect(passes, before))
        assert astuple(effect(mixed, after)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("wild", [-1.0, 0.3, 2.0])
def test_a_pass_of_huge_variance_hardly_counts(wild: float) -> None:
    """A pass of huge variance moves the speed-up by less than a thousandth of its own effect."""
    passes = group([0.010, 0.012, 0.014])
    spread = fit_spread([passes, *simulated([0.002] * 6, 3)])
    with_wild = effect([*passes, make_estimate(wild, variance=1e3)], spread)
    assert with_wild.log_ratio == pytest.approx(effect(passes, spread).log_ratio, abs=2e-3)


@pytest.mark.parametrize(("rounds", "low", "high"), [(4, 0.012, 0.020), (400, 0.025, 0.030)])
def test_small_variances_of_few_pairs_do_not_decide(rounds: int, low: float, high: float) -> None:
    """A pass of few pairs with a tenth of the others' variance does not decide alone."""
    claims = ((0.0, 1e-4), (0.0, 1e-4), (0.03, 1e-6))
    passes = [make_estimate(log, variance=claim, rounds=rounds) for log, claim in claims]
    spread = Spread(variance=1e-9, degrees=4.0, total_degrees=20.0)
    assert low < effect(passes, spread).log_ratio < high


def test_more_passes_narrow_the_interval() -> None:
    """Twice as many passes of equal scatter narrow the interval by about the root of two."""
    spread = fit_spread(simulated([0.01] * 20, 3))
    few, many = (effect(group([0.01, -0.01] * n), spread) for n in (4, 8))
    assert many.half_width == pytest.approx(few.half_width / math.sqrt(2), rel=0.1)


@settings(deadline=None, max_examples=50)
@given(groups=st.lists(st.lists(DEGENERATE, min_size=1, max_size=4), min_size=1, max_size=6))
def test_every_measurement_has_an_interval(groups: list[list[PassEstimate]]) -> None:
    """Equal or scattered, any passes give an effect with bounds and probabilities."""
    spread = fit_spread(groups)
    for found in (effect(passes, spread) for passes in groups):
        low, high = found.interval.low, found.interval.high
        assert low is not None
        assert high is not None
        assert 0 < low <= found.interval.value <= high < math.inf
        assert 0 <= found.p_value <= 1
        assert 0 <= found.p_beyond(0.02) <= 1
        assert 0 < found.detectable(0.05) < math.inf


def two_sided(found: Effect) -> float:
    """Student's two-sided p-value."""
    return float(2 * stats.t.sf(abs(found.log_ratio) / found.standard_error, found.degrees))


@settings(deadline=None)
@given(found=EFFECTS)
def test_interval_and_p_value_agree(found: Effect) -> None:
    """The interval excludes 1 exactly where the p-value is below 0.05; both are Student's."""
    assume(abs(found.p_value - 0.05) > 1e-9)
    interval = found.interval
    assert (interval.low or 0) <= interval.value <= (interval.high or 0)
    assert (not (interval.low or 0) <= 1 <= (interval.high or 0)) == (found.p_value < 0.05)
    assert found.p_value == pytest.approx(two_sided(found), rel=1e-6, abs=1e-300)
    assert math.log((interval.high or 0) / (interval.low or 1)) / 2 == pytest.approx(
        found.half_width
    )


@settings(deadline=None)
@given(found=EFFECTS, bound=st.floats(0.001, 0.5))
def test_equivalence_is_two_one_sided_tests(found: Effect, bound: float) -> None:
    """The p-value of equivalence is the larger of two one-sided tests at the bounds."""
    above = stats.t.cdf((found.log_ratio - bound) / found.standard_error, found.degrees)
    below = stats.t.sf((found.log_ratio + bound) / found.standard_error, found.degrees)
    assert found.p_beyond(bound) == pytest.approx(max(above, below), rel=1e-6, abs=1e-300)


@settings(deadline=None)
@given(found=EFFECTS, level=st.floats(0.01, 0.2))
def test_detectable_effects_are_found_four_times_in_five(found: Effect, level: float) -> None:
    """A detectable effect whose estimate is at its 20 % quantile is just significant."""
    unlucky = stats.t.ppf(0.8, found.degrees) * found.standard_error
    just = replace(found, log_ratio=math.log1p(found.detectable(level)) - unlucky)
    assert just.p_value == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "grows"),
    [
        (lambda e: e.half_width, 3.0),
        (lambda e: math.log1p(e.detectable(0.05)), 3.0),
        (lambda e: e.log_ratio, 1.0),
        (lambda e: e.degrees, 1.0),
    ],
)
def test_widened(change: Callable[[Effect], float], grows: float) -> None:
    """Widening multiplies the standard error and the width and keeps the effect."""
    found = make_effect(0.1)
    assert change(found.widened(3.0)) == pytest.approx(grows * change(found))


@settings(deadline=None)
@given(found=EFFECTS, usual=st.floats(1e-4, 0.5))
def test_stopping_width_is_never_below_the_usual(found: Effect, usual: float) -> None:
    """Passes that agree by chance do not stop a comparison before the others."""
    wide = replace(found, usual_error=usual)
    expected = found.half_width * max(1, usual / found.standard_error)
    assert wide.stopping_width == pytest.approx(expected)
