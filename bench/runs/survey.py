"""The survey of a run: every arm once, alone, in worker processes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bench.analysis.gains import WHOLES
from bench.analysis.rows import speedup
from bench.records.arm_costs import Survey, computed_in
from bench.records.comparison import CHOICE, DEFAULT_ARM, Comparison
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.records.task import SurveyJob
from bench.runs.combination import SURVEYED_OBJECTIVES
from bench.suite.work import flops

# The survey's maximum share of a run's time, or these seconds if that is more; cases that it does
# not reach stay empty. A run that chooses by what only the survey measures gets more.
_SHARE, _DECISIVE_SHARE = 0.06, 0.2
_LEAST_S = 30.0
# Statuses of a case that ran in a pass, and of a case worth surveying.
_RUNS = {"ok", "wrong"}
_SURVEYED = {*_RUNS, "oom"}
# Minimum seconds of a case, if every comparison has a time of its own.
_EACH_S = 20.0
# An arm is not worth choosing if the upper end of its speed-up's interval is below this.
_LOST = 1 / 1.2


def survey_jobs(
    comparisons: Sequence[Comparison], samples: Sequence[Sample] = ()
) -> list[SurveyJob]:
    """Return one job for each case; a baseline has the limits in its candidates' number formats.

    In the order in which a reader needs them: the default and the chosen combinations on the block
    or model that is decided about, then the other cases, at last arms that failed in the passes or
    are slower by far, whose number formats need no limit. Small cases come first among equals, and
    compiled ones last, because one takes as long as many others. Combinations that are measured
    inside a model have none: what they are made of has, and they may be chosen after the survey.
    """
    lost = set(_lost(comparisons, samples))
    found: dict[str, SurveyJob] = {}
    uses: dict[str, list[Comparison]] = {}
    for each in comparisons:
        if each.factor == CHOICE and each.is_inside:
            continue
        job = SurveyJob(comparison=each, limits=_limits(each, comparisons, lost))
        known = found.setdefault(job.key, job)
        limits = tuple(dict.fromkeys([*known.limits, *job.limits]))
        found[job.key] = replace(known, limits=limits)
        uses.setdefault(job.key, []).append(each)
    return sorted(found.values(), key=lambda job: _turn(job, uses[job.key], lost))


def _turn(
    job: SurveyJob, uses: Sequence[Comparison], lost: set[str]
) -> tuple[bool, bool, bool, float]:
    """Return the sort key of a job, by use and rough cost; a user's own arms count as free."""
    work, arm = job.case.workload, job.case.arm
    return (
        all(each.key in lost for each in uses),
        not any(map(_is_decisive, uses)),
        arm.compile != "eager",
        flops(work) if work.variant else 0.0,
    )


def _is_decisive(comparison: Comparison) -> bool:
    """Whether its arm is a chosen combination, or the default that these are compared with."""
    component = comparison.workload.component
    default = component in WHOLES and comparison.arm == DEFAULT_ARM.as_part(component)
    return default or comparison.factor == CHOICE


def _lost(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> Iterator[str]:
    """Yield the keys of the candidates that failed in every pass or are slower by far."""
    by_key: dict[str, list[Sample]] = {}
    for sample in samples:
        by_key.setdefault(sample.key, []).append(sample)
    for each in comparisons:
        found = by_key.get(each.key)
        if found and not each.is_control and _is_lost(found):
            yield each.key


def _is_lost(samples: Sequence[Sample]) -> bool:
    interval = speedup(samples)
    if interval is None or all(each.status != "ok" for each in samples):
        return True
    return interval.high is not None and interval.high < _LOST


def _limits(
    baseline: Comparison, comparisons: Sequence[Comparison], lost: set[str]
) -> tuple[str, ...]:
    """Return the number formats of the arms compared with a control; parts of vitcore only."""
    if not baseline.is_control or baseline.arm.factory is not None:
        return ()
    work, arm = baseline.workload, baseline.arm
    rivals = (c for c in comparisons if (c.workload, c.baseline) == (work, arm))
    formats = (computed_in(c.arm.precision) for c in rivals if c.key not in lost)
    return tuple(dict.fromkeys(formats))


def left(
    plan: Plan, surveys: Mapping[str, Survey], samples: Sequence[Sample] = ()
) -> list[SurveyJob]:
    """Return the jobs left to do, by the statuses of the cases in the passes.

    A case that failed there would fail again; the memory of one that ran out of it is predicted.
    """
    if not plan.survey:
        return []
    outcomes = _outcomes(plan.comparisons, samples)
    found = []
    for job in survey_jobs(plan.comparisons, samples):
        outcome = outcomes.get(job.key, set())
        if job.key in surveys or (outcome and not outcome & _SURVEYED):
            continue
        found.append(replace(job, shapes_only=bool(outcome) and not outcome & _RUNS))
    return found


def _outcomes(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> dict[str, set[str]]:
    """Return the statuses of each case, as a candidate or as a control."""
    keys = {each.key: SurveyJob(comparison=each).key for each in comparisons}
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.key in keys:
            found.setdefault(keys[sample.key], set()).add(sample.status)
    return found


def seconds(plan: Plan, cases: int, spent_s: float) -> float:
    """Return the seconds for the survey of ``cases``, after ``spent_s`` seconds of the run."""
    # A gate needs every value: a missing one is an error.
    if plan.each_s is not None or plan.gate is not None:
        return cases * max(_EACH_S, plan.each_s or 0.0)
    share = _DECISIVE_SHARE if plan.objective in SURVEYED_OBJECTIVES else _SHARE
    return max(share * plan.budget_s, min(_LEAST_S, plan.budget_s - spent_s))
