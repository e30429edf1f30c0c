"""bench.analysis.closure: differences of arms that were compared with one baseline."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.calibration import Trial
from bench.analysis.closure import Difference, differences
from bench.analysis.estimates import estimate_pass
from bench.analysis.judging import judge_run
from bench.analysis.rows import estimates
from bench.records.calibration import Kind
from bench.records.comparison import DELTA, Comparison
from helpers.records import make_comparison, make_sample

NAMES = ("mha_weights", "manual", "sdpa")


def trials(
    logs: Sequence[float], seed: int = 0, *, noise: float = 0.0, passes: int = 3, rounds: int = 12
) -> list[Trial]:
    """Arms with these logarithms of the speed-up, called in the same rounds as one baseline."""
    numbers = np.random.default_rng(seed)
    made: list[list[tuple[float, ...]]] = [[] for _ in logs]
    baselines = []
    for _ in range(passes):
        machine = numbers.normal(0, 0.1, rounds)
        baselines.append(tuple(0.01 * np.exp(machine + numbers.normal(0, noise, rounds))))
        for times, log in zip(made, logs, strict=True):
            own = numbers.normal(0, noise, rounds) + numbers.normal(0, noise / 3)
            times.append(tuple(0.01 * np.exp(machine + own - log)))
    return [
        trial(make_comparison(name), baselines, times)
        for name, times in zip(NAMES, made, strict=False)
    ]


def trial(
    comparison: Comparison,
    baselines: Sequence[tuple[float, ...]],
    times: Sequence[tuple[float, ...]],
) -> Trial:
    """Build a trial from the times of its passes."""
    samples = tuple(
        make_sample(comparison, index, baseline_s=baseline_s, arm_s=arm_s, late=())
        for index, (baseline_s, arm_s) in enumerate(zip(baselines, times, strict=True))
    )
    return Trial(comparison=comparison, kind=Kind.PLACEBO, truth=1.0, samples=samples)


def found(measured: Sequence[Trial]) -> list[Difference]:
    """Return the differences of arms judged like those of a run."""
    comparisons = [each.comparison for each in measured]
    passes = {each.comparison.key: estimates(each.samples) for each in measured}
    return differences(judge_run(comparisons, passes, DELTA)[1], measured)


def test_without_noise_a_triple_closes() -> None:
    """The difference of two arms is that of their speed-ups, and nothing is left over."""
    logs = (0.0, math.log(1.1), math.log(0.8))
    first, second, third = found(trials(logs))
    for each, (b, c) in zip((first, second, third), ((0, 1), (0, 2), (1, 2)), strict=True):
        assert each.interval.value == pytest.approx(math.exp(logs[b] - logs[c]), rel=1e-9)
        assert each.residual == pytest.approx(0.0, abs=1e-9)


def test_what_is_left_over_is_that_of_medians() -> None:
    """Medians of ratios do not multiply: in one pass the residual is theirs."""
    measured = trials((0.0, 0.05), noise=0.02, passes=1)
    (only,) = found(measured)
    (b,), (c,) = (each.samples for each in measured)
    parts = ((b.baseline_s, b.arm_s), (b.arm_s, c.arm_s), (c.baseline_s, c.arm_s))
    logs = [estimate_pass(*both, late=()).log_ratio for both in parts]
    assert only.residual == pytest.approx(logs[0] + logs[1] - logs[2], abs=1e-12)
    assert abs(only.residual) > 1e-6


def test_residuals_are_small_beside_the_intervals() -> None:
    """What the rounds have in common cancels: arms close more narrowly than they are known."""
    made = [each for seed in range(10) for each in found(trials((0.0,) * 3, seed, noise=0.02))]
    residual = math.sqrt(float(np.mean([each.residual**2 for each in made])))
    widths = [math.log((d.interval.high or 0) / (d.interval.low or 1)) / 2 for d in made]
    assert 0 < residual < float(np.median(widths)) / 2


def test_intervals_of_equal_arms_hold_one() -> None:
    """At least 93 % of the intervals of a difference hold the truth, in many simulated runs."""
    made = [each for seed in range(60) for each in found(trials((0.0,) * 3, seed, noise=0.02))]
    held = [(d.interval.low or 0) <= 1 <= (d.interval.high or math.inf) for d in made]
    assert len(made) == 180
    assert np.mean(held) >= 0.93


def test_a_wrong_difference_is_missed() -> None:
    """Two arms 10 % apart are not called equal."""
    (only,) = found(trials((0.0, 0.1), noise=0.01))
    assert (only.interval.high or 0) < 1


def test_only_common_rounds_are_compared() -> None:
    """A pass in which the arms were not called in the same rounds is left out."""
    first, second = trials((0.0, 0.1))
    parted = tuple(replace(each, baseline_s=(0.02,) * 12) for each in second.samples[:2])
    rest = replace(second, samples=(*parted, second.samples[2]))
    assert len(found([first, rest])) == 1
    assert found([first, replace(second, samples=parted)]) == []


def test_arms_of_other_workloads_make_no_pair() -> None:
    """Only arms with one baseline on one workload are compared."""
    first, second = trials((0.0, 0.0))
    other = make_comparison(NAMES[1], batch_size=8)
    moved = tuple(replace(each, key=other.key) for each in second.samples)
    assert found([first, replace(second, comparison=other, samples=moved)]) == []
    assert len(found([first, second])) == 1
