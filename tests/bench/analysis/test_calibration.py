"""bench.analysis.calibration: every method judged on the same samples with a known ratio."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.calibration import JUDGES, Trial, bootstrap, rates, share_bounds
from bench.analysis.estimates import Interval
from bench.records.calibration import Rate
from bench.records.comparison import Sample
from helpers.records import make_comparison, make_sample

OURS, ALONE, STUDENT, MEDIANS, PLAIN = JUDGES


def trial(
    seed: int, truth: float = 1.0, *, drift: float = 0.0, passes: int = 3, pairs: int = 20
) -> Trial:
    """A comparison whose pairs scatter by 1 %, on a machine whose speed changes by ``drift``."""
    numbers = np.random.default_rng([seed, int(1000 * truth)])
    samples: list[Sample] = []
    for index in range(passes):
        machine = np.linspace(0, drift, pairs)
        ratio = math.log(truth) + numbers.normal(0, 0.003) + numbers.normal(0, 0.01, pairs)
        times = {
            "baseline_s": tuple(0.01 * np.exp(machine + ratio)),
            "arm_s": tuple(0.01 * np.exp(machine)),
        }
        samples.append(make_sample(make_comparison(), index, **times))
    return Trial(key=f"{seed}-{truth}", truth=truth, samples=tuple(samples))


def some(count: int, truth: float = 1.0, drift: float = 0.0) -> list[Trial]:
    """A number of comparisons of one kind."""
    return [trial(seed, truth, drift=drift) for seed in range(count)]


def controls(count: int = 5, drift: float = 0.0) -> list[Trial]:
    """Baselines measured against their own copies."""
    return [trial(seed, drift=drift) for seed in range(100, 100 + count)]


def by_method(found: Sequence[Rate], truth: float) -> dict[str, Rate]:
    """The rates of one kind of trial."""
    return {rate.method: rate for rate in found if rate.truth == truth}


@settings(deadline=None)
@given(counts=st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_of_a_share_are_exact(counts: tuple[int, int]) -> None:
    """At each bound the observed count or a more extreme one has a probability of 2.5 %."""
    (count, trials), (low, high) = counts, share_bounds(*counts)
    assert (low == 0) is (count == 0)
    assert (high == 1) is (count == trials)
    if low > 0:
        assert stats.binom.sf(count - 1, trials, low) == pytest.approx(0.025, abs=1e-6)
    if high < 1:
        assert stats.binom.cdf(count, trials, high) == pytest.approx(0.025, abs=1e-6)


def test_every_method_and_kind_has_a_rate() -> None:
    """There is a rate for each method and each kind of trial, identical arms first."""
    trials = [*some(3, 20 / 21), *some(4)]
    found = list(rates(trials, controls()))
    assert [(each.method, each.truth) for each in found] == [
        (method, truth) for method in JUDGES for truth in (1.0, 20 / 21)
    ]
    assert [each.trials for each in found[:2]] == [4, 3]


def test_the_first_method_is_this_suites() -> None:
    """The first method, which the summary sentence describes, is the suite's own."""
    assert next(iter(JUDGES)) == "vitbench run"


def test_paired_methods_bear_drift() -> None:
    """On a machine that slows down by 40 % paired methods hold; medians in sequence do not."""
    trials = [*some(12, drift=0.4), *some(6, 20 / 21, drift=0.4)]
    found = list(rates(trials, controls(drift=0.4)))
    same, slower = by_method(found, 1.0), by_method(found, 20 / 21)
    for method in (OURS, ALONE, STUDENT):
        assert same[method].different == 0
        assert slower[method].slower == 6
    for method in (MEDIANS, PLAIN):
        assert same[method].different == 12


def test_methods_without_drift() -> None:
    """Without drift every method detects a slow-down by 10 %."""
    found = by_method(list(rates(some(5, 10 / 11), controls())), 10 / 11)
    assert {method: rate.slower for method, rate in found.items()} == dict.fromkeys(JUDGES, 5)


def test_fields_of_a_rate() -> None:
    """Either direction counts as different, one as slower; bounds are those of that rate."""
    trials = [*some(8), *some(8, 1.2), *some(4, 20 / 21)]
    found = list(rates(trials, controls()))
    faster, same, slower = (by_method(found, truth)[OURS] for truth in (1.2, 1.0, 20 / 21))
    assert (faster.different, faster.slower, faster.trials) == (8, 0, 8)
    assert (slower.different, slower.slower, slower.trials) == (4, 4, 4)
    assert (same.different, same.low, same.high) == (0, *share_bounds(0, 8))
    assert (slower.low, slower.high) == share_bounds(4, 4)
    assert (faster.low, faster.high) == share_bounds(0, 8)
    assert same.covered >= 0.75
    assert 0.001 < same.half_width < 0.02


def test_disturbed_pairs_are_left_out() -> None:
    """The suite's own methods leave out pairs marked as disturbed."""

    def spoiled(given: Trial) -> Trial:
        marked = tuple(range(10))
        samples = [
            replace(
                each,
                baseline_s=tuple(2 * t for t in each.baseline_s[:10]) + each.baseline_s[10:],
                disturbed=marked,
            )
            for each in given.samples
        ]
        return replace(given, samples=tuple(samples))

    trials = [spoiled(each) for each in some(6)]
    found = by_method(list(rates(trials, controls())), 1.0)
    assert found[OURS].different == found[ALONE].different == 0
    assert found[PLAIN].different == 6


def test_single_passes() -> None:
    """With one pass per comparison Student's method decides nothing: its width is infinite."""
    trials = [trial(seed, passes=1) for seed in range(4)]
    found = by_method(list(rates(trials, [trial(9, passes=1)])), 1.0)
    assert found[STUDENT].half_width == math.inf
    assert (found[STUDENT].different, found[STUDENT].covered) == (0, 1.0)
    assert found[OURS].half_width < 0.1


def test_bootstrap_holds_the_ratio_of_medians() -> None:
    """The interval holds the ratio of medians, and its width matches their standard errors."""
    numbers = np.random.default_rng(0)
    baseline_s, arm_s = (np.exp(numbers.normal(0, 0.05, 400)).tolist() for _ in range(2))
    found = bootstrap(baseline_s, arm_s)
    assert found.value == pytest.approx(np.median(baseline_s) / np.median(arm_s))
    # Of a median of normal values the standard error is 1.2533 times that of the mean.
    half = 1.96 * 1.2533 * 0.05 * math.sqrt(2 / 400)
    assert math.log((found.high or 0) / (found.low or 1)) / 2 == pytest.approx(half, rel=0.25)
    assert bootstrap(baseline_s, arm_s) == found


@pytest.mark.parametrize("arm_s", [[0.1], [0.1, 0.1]])
def test_a_single_time_has_no_interval(arm_s: list[float]) -> None:
    """Fewer than three times, as on a busy machine, give a value without an interval."""
    assert bootstrap([0.2], arm_s) == Interval(2.0)


def test_bootstrap_of_equal_times() -> None:
    """Times without scatter give an interval of zero width at the value."""
    found = bootstrap([0.2] * 6, [0.1] * 6)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
