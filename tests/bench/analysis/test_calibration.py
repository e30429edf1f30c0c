"""bench.analysis.calibration: every method judged on the same samples with a known ratio."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.calibration import JUDGES, Trial, bootstrap, rates, share_bounds
from bench.analysis.estimates import Interval
from bench.analysis.row_times import change_of_whole
from bench.records.calibration import Kind, Rate
from bench.records.sample import Sample
from helpers.records import make_comparison, make_sample

OURS, ALONE, STUDENT, MEDIANS, PLAIN = JUDGES


TRUTHS = {Kind.PLACEBO: 1.0, Kind.SLOWER: 20 / 21, Kind.SAME_STACK: 1.0, Kind.STACK_51: 50 / 51}


def trial(
    seed: int,
    kind: Kind = Kind.PLACEBO,
    *,
    truth: float | None = None,
    drift: float = 0.0,
    passes: int = 3,
    pairs: int = 20,
) -> Trial:
    """A comparison whose pairs scatter by 1 %, on a machine whose speed changes by ``drift``."""
    truth = TRUTHS[kind] if truth is None else truth
    numbers = np.random.default_rng([seed, int(1000 * truth)])
    comparison = make_comparison(f"{kind}-{seed}-{truth}")
    samples: list[Sample] = []
    for index in range(passes):
        machine = np.linspace(0, drift, pairs)
        ratio = math.log(truth) + numbers.normal(0, 0.003) + numbers.normal(0, 0.01, pairs)
        times = {
            "baseline_s": tuple(0.01 * np.exp(machine + ratio)),
            "arm_s": tuple(0.01 * np.exp(machine)),
        }
        samples.append(make_sample(comparison, index, **times))
    return Trial(comparison=comparison, kind=kind, truth=truth, samples=tuple(samples))


def some(count: int, kind: Kind = Kind.PLACEBO, drift: float = 0.0) -> list[Trial]:
    """A number of comparisons of one kind."""
    return [trial(seed, kind, drift=drift) for seed in range(count)]


def controls(count: int = 5, drift: float = 0.0, passes: int = 3) -> list[Trial]:
    """Baselines measured against their own copies."""
    made = (trial(seed, drift=drift, passes=passes) for seed in range(100, 100 + count))
    return [copied(each, place + 1) for place, each in enumerate(made)]


def copied(given: Trial, batch_size: int) -> Trial:
    """Return a trial as that of a baseline against its copy."""
    control = make_comparison("mha", batch_size=batch_size)
    samples = tuple(replace(each, key=control.key) for each in given.samples)
    return replace(given, comparison=control, kind=Kind.COPY, samples=samples)


def of_kind(found: Sequence[Rate], kind: Kind = Kind.PLACEBO) -> Mapping[str, Rate]:
    """The rates of one kind of trial, by method."""
    return {rate.method: rate for rate in found if rate.kind is kind}


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
    """There is a rate for each method and each kind of trial, equal arms first."""
    copies = controls()
    found = list(rates([*some(3, Kind.SLOWER), *copies, *some(4)], copies))
    assert [(each.method, each.kind) for each in found] == [
        (method, kind) for method in JUDGES for kind in (Kind.COPY, Kind.PLACEBO, Kind.SLOWER)
    ]
    assert [each.trials for each in found[:3]] == [5, 4, 3]


def test_the_first_method_is_this_suites() -> None:
    """The first method, which the summary sentence describes, is the suite's own."""
    assert next(iter(JUDGES)) == "vitbench run"


def test_paired_methods_bear_drift() -> None:
    """On a machine that slows down by 40 % paired methods hold; medians in sequence do not."""
    trials = [*some(12, drift=0.4), *some(6, Kind.SLOWER, drift=0.4)]
    found = list(rates(trials, controls(drift=0.4)))
    same, slower = of_kind(found), of_kind(found, Kind.SLOWER)
    for method in (OURS, ALONE, STUDENT):
        assert same[method].different == 0
        assert slower[method].slower == 6
    for method in (MEDIANS, PLAIN):
        assert same[method].different == 12


def test_methods_without_drift() -> None:
    """Without drift every method detects a slow-down by 10 %."""
    trials = [trial(seed, Kind.SLOWER, truth=10 / 11) for seed in range(5)]
    found = of_kind(list(rates(trials, controls())), Kind.SLOWER)
    assert {method: rate.slower for method, rate in found.items()} == dict.fromkeys(JUDGES, 5)


def test_fields_of_a_rate() -> None:
    """Either direction counts as different, one as slower; bounds are those of that rate."""
    faster = [trial(seed, Kind.SAME_STACK, truth=1.2) for seed in range(8)]
    found = list(rates([*some(8), *faster, *some(4, Kind.SLOWER)], controls()))
    same, fast, slower = (
        of_kind(found, kind)[OURS] for kind in (Kind.PLACEBO, Kind.SAME_STACK, Kind.SLOWER)
    )
    assert (fast.different, fast.slower, fast.counted, fast.trials) == (8, 0, 8, 8)
    assert (slower.different, slower.slower, slower.counted, slower.trials) == (4, 4, 4, 4)
    assert (same.counted, same.low, same.high) == (0, *share_bounds(0, 8))
    assert (slower.low, slower.high) == share_bounds(4, 4)
    assert (fast.low, fast.high) == share_bounds(8, 8)
    assert same.covered >= 0.75
    assert 0.001 < same.half_width < 0.02
    assert (same.truth, slower.truth) == pytest.approx((1.0, 20 / 21))


def test_copies_that_are_trials_are_judged_as_controls() -> None:
    """They count once, and judging them as well changes no other verdict or interval."""
    copies, trials = controls(), [*some(6), *some(3, Kind.SLOWER)]
    found = list(rates([*copies, *trials], copies))
    assert of_kind(found, Kind.COPY)[OURS].trials == 5
    for kind in (Kind.PLACEBO, Kind.SLOWER):
        without = of_kind(list(rates(trials, copies)), kind)
        assert of_kind(found, kind)[OURS] == without[OURS]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_what_slower_arms_change_of_the_whole(share: float) -> None:
    """The true change follows from the share of the part; the one found lies in its interval."""
    made = [
        replace(each, samples=tuple(replace(s, share=share) for s in each.samples))
        for each in some(8, Kind.SLOWER)
    ]
    rate = of_kind(list(rates(made, controls())), Kind.SLOWER)[OURS]
    assert rate.of_whole_truth == pytest.approx(1 / (1 + share / 20) - 1, rel=1e-9)
    assert rate.of_whole_truth == pytest.approx(change_of_whole(share, 20 / 21), rel=1e-9)
    assert rate.of_whole_half_width is not None
    assert rate.of_whole == pytest.approx(rate.of_whole_truth, abs=rate.of_whole_half_width)
    # Linear in small changes: a part's interval counts by its share.
    assert rate.of_whole_half_width == pytest.approx(share * rate.half_width, rel=0.1)


def test_without_a_share_nothing_is_said_of_the_whole() -> None:
    """What was measured alone has no share."""
    rate = of_kind(list(rates(some(3, Kind.SLOWER), controls())), Kind.SLOWER)[OURS]
    assert (rate.of_whole, rate.of_whole_truth, rate.of_whole_half_width) == (None, None, None)


@pytest.mark.parametrize("runs", [5, pytest.param(12, marks=pytest.mark.endurance)])
def test_simulated_placebos_are_rarely_called_different(runs: int) -> None:
    """Of many simulated calibrations at most 1 % of the placebos are; intervals hold 1."""
    different, covered = [], []
    for run in range(runs):
        trials = [trial(1000 * run + seed) for seed in range(20)]
        rate = of_kind(list(rates(trials, controls())))[OURS]
        different.append(rate.different / rate.trials)
        covered.append(rate.covered)
    assert np.mean(different) <= 0.01
    assert np.mean(covered) >= 0.93


def test_differences_of_placebos_are_scored() -> None:
    """Each pair of placebos of one workload is a trial; a wrong difference counts as different."""
    trials = some(4)
    shared = trials[0].samples
    same = [
        replace(
            each,
            samples=tuple(
                replace(s, baseline_s=b.baseline_s)
                for s, b in zip(each.samples, shared, strict=True)
            ),
        )
        for each in trials
    ]
    *_, rate = rates(same, controls())
    assert (rate.kind, rate.trials, rate.truth) == (Kind.DIFFERENCE, 6, 1.0)
    assert rate.covered == 1 - rate.different / 6
    assert (rate.low, rate.high) == share_bounds(rate.different, 6)
    assert rate.residual is not None
    *_, without = rates(trials[:1], controls())
    assert without.kind is Kind.PLACEBO


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
    found = of_kind(list(rates(trials, controls())))
    assert found[OURS].different == found[ALONE].different == 0
    assert found[PLAIN].different == 6


def test_single_passes() -> None:
    """With one pass per comparison Student's method decides nothing: its width is infinite."""
    trials = [trial(seed, passes=1) for seed in range(4)]
    found = of_kind(list(rates(trials, controls(1, passes=1))))
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
