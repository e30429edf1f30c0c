"""Error rates of several methods on comparisons with a known answer.

All methods judge the same samples. Two are this suite's; the others are common practice: the rounds
of one arm, then those of the other, as in pytest-benchmark, torch.utils.benchmark and timm's
script. For these, the baseline's times of a process's first half are compared with the arm's times
of its second half.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from bench.analysis.estimates import CONFIDENCE, Interval, estimate_pass, geometric
from bench.analysis.replication import Effect, effect
from bench.analysis.rows import estimates
from bench.analysis.spread import fit_spreads
from bench.analysis.verdicts import ALIKE_SHARE, check_controls, judge, verdict
from bench.records.calibration import Method, Rate
from bench.records.comparison import Sample

_RESAMPLES = 500
# The fewest times that can be resampled.
_LEAST_TIMES = 2
_Times = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A comparison with a known speed-up (1: identical arms), and its samples, pass by pass."""

    key: str
    truth: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class TrialResult:
    """Interval and verdict of one method for one trial."""

    truth: float
    interval: Interval
    verdict: str


def rates(trials: Sequence[Trial], controls: Sequence[Trial]) -> Iterator[Rate]:
    """Yield the rates of every method for every kind of trial, identical arms first."""
    for method, judged in JUDGES.items():
        outcomes = judged(trials, controls)
        for truth in sorted({trial.truth for trial in trials}, reverse=True):
            yield _rate(method, [each for each in outcomes if each.truth == truth])


def _rate(method: Method, outcomes: Sequence[TrialResult]) -> Rate:
    different = sum(each.verdict in ("faster", "slower") for each in outcomes)
    slower = sum(each.verdict == "slower" for each in outcomes)
    truth = outcomes[0].truth
    low, high = share_bounds(different if truth == 1 else slower, len(outcomes))
    return Rate(
        method=method,
        truth=truth,
        trials=len(outcomes),
        different=different,
        slower=slower,
        covered=fmean(_holds(each.interval, truth) for each in outcomes),
        half_width=median(_half(each.interval) for each in outcomes),
        low=low,
        high=high,
    )


def share_bounds(count: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, ``count`` of ``trials`` (Clopper, Pearson 1934)."""
    from scipy.stats import binomtest

    found = binomtest(count, trials).proportion_ci(CONFIDENCE, method="exact")
    return float(found.low), float(found.high)


def _holds(interval: Interval, truth: float) -> bool:
    return (interval.low or 0.0) <= truth <= (interval.high or math.inf)


def _half(interval: Interval) -> float:
    if interval.low is None or interval.high is None:
        return math.inf
    return math.log(interval.high / interval.low) / 2


def _together(trials: Sequence[Trial], controls: Sequence[Trial]) -> list[TrialResult]:
    """Judge as ``vitbench run``: all trials share one estimate of the spread, all controls one."""
    groups = {each.key: estimates(each.samples) for each in trials}
    copies = [estimates(each.samples) for each in controls]
    spreads = fit_spreads({"": list(groups.values())}, copies)
    effects = {key: effect(group, spreads.of("")) for key, group in groups.items()}
    found = check_controls([effect(group, spreads.controls) for group in copies])
    judged = judge(effects, found)
    return [_outcome(each, judged[each.key].effect, judged[each.key].verdict) for each in trials]


def _alone(trials: Sequence[Trial], controls: Sequence[Trial]) -> list[TrialResult]:
    """Judge as ``vitbench compare``: each candidate with one control."""
    pairs = ((each, controls[place % len(controls)]) for place, each in enumerate(trials))
    return [found for each, control in pairs for found in _together([each], [control])]


def _student(trials: Sequence[Trial], _: Sequence[Trial]) -> list[TrialResult]:
    """Student's t over the passes of each comparison by itself."""
    outcomes = []
    for trial in trials:
        logs = [estimate_pass(s.baseline_s, s.arm_s).log_ratio for s in trial.samples]
        interval, narrow = geometric(logs), geometric(logs, 1 - 2 * ALIKE_SHARE)
        outcomes.append(TrialResult(trial.truth, interval, verdict(interval, narrow=narrow)))
    return outcomes


def _sequential(trials: Sequence[Trial], _: Sequence[Trial]) -> list[TrialResult]:
    """Medians of one process, one arm after the other, with a bootstrap interval."""
    outcomes = []
    for trial in trials:
        interval = bootstrap(*_halves(trial))
        differs = "faster" if (interval.low or 1) > 1 else "slower"
        decided = (interval.low or 1) > 1 or (interval.high or 1) < 1
        outcomes.append(TrialResult(trial.truth, interval, differs if decided else "undecided"))
    return outcomes


def _medians(trials: Sequence[Trial], _: Sequence[Trial]) -> list[TrialResult]:
    """Judge as pytest-benchmark: by the ratio of two medians, without an interval."""
    outcomes = []
    for trial in trials:
        baseline_s, arm_s = _halves(trial)
        ratio = median(baseline_s) / median(arm_s)
        known = Interval(ratio, ratio, ratio)
        outcomes.append(TrialResult(trial.truth, known, verdict(known)))
    return outcomes


def _halves(trial: Trial) -> tuple[Sequence[float], Sequence[float]]:
    sample = trial.samples[0]
    half = len(sample.arm_s) // 2
    return sample.baseline_s[:half], sample.arm_s[half:]


def bootstrap(baseline_s: Sequence[float], arm_s: Sequence[float]) -> Interval:
    """Return the ratio of two medians with its percentile-bootstrap interval (Efron 1979).

    A single time on either side has no interval.
    """
    from scipy import stats

    value = median(baseline_s) / median(arm_s)
    if min(len(baseline_s), len(arm_s)) < _LEAST_TIMES:
        return Interval(value)
    found = stats.bootstrap(
        (baseline_s, arm_s),
        _ratio_of_medians,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, min(float(found.low), value), max(float(found.high), value))


def _ratio_of_medians(baseline_s: _Times, arm_s: _Times, axis: int) -> _Times:
    return np.asarray(np.median(baseline_s, axis=axis) / np.median(arm_s, axis=axis))


def _outcome(trial: Trial, found: Effect, decided: str) -> TrialResult:
    return TrialResult(trial.truth, found.interval, decided)


Judge = Callable[[Sequence[Trial], Sequence[Trial]], list[TrialResult]]
JUDGES: Mapping[Method, Judge] = {
    Method.RUN: _together,
    Method.COMPARE: _alone,
    Method.STUDENT: _student,
    Method.SEQUENTIAL: _sequential,
    Method.PYTEST_BENCHMARK: _medians,
}
