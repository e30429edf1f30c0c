"""Error rates of several methods on comparisons with a known answer.

All methods judge the same samples. Two are this suite's; the others are common practice: the rounds
of one arm, then those of the other, as in pytest-benchmark, torch.utils.benchmark and timm's
script. For these, the baseline's times of a process's first half are compared with the arm's times
of its second half.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from bench.analysis.closure import Difference, differences
from bench.analysis.estimates import CONFIDENCE, Interval, estimate_pass, geometric
from bench.analysis.judging import judge_run
from bench.analysis.row_times import change_of_whole, median_share
from bench.analysis.rows import estimates
from bench.analysis.verdicts import ALIKE_SHARE, Judgement, verdict
from bench.records.calibration import Kind, Method, Rate
from bench.records.comparison import DELTA, Comparison
from bench.records.sample import Sample

_RESAMPLES = 500
# The fewest times that can be resampled.
_LEAST_TIMES = 2
_Times = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A comparison with a known speed-up (1: equal arms), and its samples, pass by pass."""

    comparison: Comparison
    kind: Kind
    truth: float
    samples: tuple[Sample, ...]

    @cached_property
    def share(self) -> float | None:
        """Share of the baseline's part in the time of its model; None if measured alone."""
        return median_share(self.samples)


@dataclass(frozen=True)
class TrialResult:
    """Interval and verdict of one method for one trial."""

    trial: Trial
    interval: Interval
    verdict: str


def rates(trials: Sequence[Trial], controls: Sequence[Trial]) -> Iterator[Rate]:
    """Yield the rates of every method for every kind of trial; then those of differences.

    Trials may be controls, too.
    """
    for method, judged in JUDGES.items():
        outcomes = judged(trials, controls)
        for kind in Kind:
            if own := [each for each in outcomes if each.trial.kind is kind]:
                yield _rate(method, kind, own)
    placebos = [each for each in trials if each.kind is Kind.PLACEBO]
    if placebos and (found := differences(_judged(trials, controls), placebos)):
        yield _difference_rate(found)


def _rate(method: Method, kind: Kind, outcomes: Sequence[TrialResult]) -> Rate:
    different = sum(each.verdict in ("faster", "slower") for each in outcomes)
    slower = sum(each.verdict == "slower" for each in outcomes)
    low, high = share_bounds(different if kind.is_equal else slower, len(outcomes))
    return Rate(
        method=method,
        kind=kind,
        truth=fmean(each.trial.truth for each in outcomes),
        trials=len(outcomes),
        different=different,
        slower=slower,
        covered=fmean(_holds(each.interval, each.trial.truth) for each in outcomes),
        half_width=median(_half(each.interval) for each in outcomes),
        low=low,
        high=high,
        **_of_whole(outcomes),
    )


def _of_whole(outcomes: Sequence[TrialResult]) -> dict[str, float]:
    """Return what arms change of the whole, by the share of the part; empty if unknown."""
    known = [
        (each.trial.share, each) for each in outcomes if each.trial.share and each.interval.low
    ]
    if not known:
        return {}
    widths = [
        change_of_whole(share, each.interval.high or math.inf)
        - change_of_whole(share, each.interval.low or 0.0)
        for share, each in known
    ]
    return {
        "of_whole": median(change_of_whole(share, each.interval.value) for share, each in known),
        "of_whole_truth": median(change_of_whole(share, each.trial.truth) for share, each in known),
        "of_whole_half_width": median(widths) / 2,
    }


def _difference_rate(found: Sequence[Difference]) -> Rate:
    """Return how often the interval of a difference of two placebos misses 1, and their closure."""
    missed = [each.interval for each in found if not _holds(each.interval, 1.0)]
    low, high = share_bounds(len(missed), len(found))
    return Rate(
        method=Method.RUN,
        kind=Kind.DIFFERENCE,
        truth=1.0,
        trials=len(found),
        different=len(missed),
        slower=sum(each.value < 1 for each in missed),
        covered=1 - len(missed) / len(found),
        half_width=median(_half(each.interval) for each in found),
        low=low,
        high=high,
        residual=math.sqrt(fmean(each.residual**2 for each in found)),
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


def _judged(trials: Sequence[Trial], controls: Sequence[Trial]) -> dict[str, Judgement]:
    """Judge as ``vitbench run``, by key; controls that are trials, too, count once."""
    samples = {each.comparison: each.samples for each in (*controls, *trials)}
    passes = {each.key: estimates(own) for each, own in samples.items()}
    return judge_run(list(samples), passes, DELTA)[1]


def _together(trials: Sequence[Trial], controls: Sequence[Trial]) -> list[TrialResult]:
    """Judge as ``vitbench run``: alike trials share an estimate of the spread, all controls one."""
    judged = _judged(trials, controls)
    return [_outcome(each, judged[each.comparison.key]) for each in trials]


def _outcome(trial: Trial, found: Judgement) -> TrialResult:
    return TrialResult(trial, found.effect.interval, found.verdict)


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
        outcomes.append(TrialResult(trial, interval, verdict(interval, narrow=narrow)))
    return outcomes


def _sequential(trials: Sequence[Trial], _: Sequence[Trial]) -> list[TrialResult]:
    """Medians of one process, one arm after the other, with a bootstrap interval."""
    outcomes = []
    for trial in trials:
        interval = bootstrap(*_halves(trial))
        differs = "faster" if (interval.low or 1) > 1 else "slower"
        decided = (interval.low or 1) > 1 or (interval.high or 1) < 1
        outcomes.append(TrialResult(trial, interval, differs if decided else "undecided"))
    return outcomes


def _medians(trials: Sequence[Trial], _: Sequence[Trial]) -> list[TrialResult]:
    """Judge as pytest-benchmark: by the ratio of two medians, without an interval."""
    outcomes = []
    for trial in trials:
        baseline_s, arm_s = _halves(trial)
        ratio = median(baseline_s) / median(arm_s)
        known = Interval(ratio, ratio, ratio)
        outcomes.append(TrialResult(trial, known, verdict(known)))
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


Judge = Callable[[Sequence[Trial], Sequence[Trial]], list[TrialResult]]
JUDGES: Mapping[Method, Judge] = {
    Method.RUN: _together,
    Method.COMPARE: _alone,
    Method.STUDENT: _student,
    Method.SEQUENTIAL: _sequential,
    Method.PYTEST_BENCHMARK: _medians,
}
