"""The survey of a run: every arm once, alone, in worker processes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.records.arm_costs import Survey, computed_in
from bench.records.comparison import CHOICE, MODEL_ARMS, Comparison, Sample
from bench.records.plan import Plan
from bench.records.task import SurveyJob
from bench.suite.work import flops

# The survey's maximum share of a run's time, or these seconds if that is more; cases that it does
# not reach stay empty.
_SHARE = 0.2
_LEAST_S = 30.0
# Statuses of a case that ran in a pass, and of a case worth surveying.
_RUNS = {"ok", "wrong"}
_SURVEYED = {*_RUNS, "oom"}
# Minimum seconds of a case, if every comparison has a time of its own.
_EACH_S = 20.0


def survey_jobs(comparisons: Sequence[Comparison]) -> list[SurveyJob]:
    """Return one job for each case; a baseline has the limits in its candidates' number formats.

    Chosen combinations come first, then small cases; compiled models come last, because one takes
    as long as many others.
    """
    found: dict[str, SurveyJob] = {}
    for each in comparisons:
        job = SurveyJob(comparison=each, limits=_limits(each, comparisons))
        known = found.setdefault(job.key, job)
        limits = tuple(dict.fromkeys([*known.limits, *job.limits]))
        found[job.key] = replace(known, limits=limits)
    return sorted(found.values(), key=_cost)


def _cost(job: SurveyJob) -> tuple[bool, bool, float]:
    """Return the sort key of a job, by rough cost; a user's own arms count as free."""
    work, arm = job.comparison.workload, job.comparison.arm
    is_asked = job.comparison.factor != CHOICE
    return arm.compile in MODEL_ARMS, is_asked, flops(work) if work.variant else 0.0


def _limits(baseline: Comparison, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Return the number formats of the arms compared with a control; parts of vitcore only."""
    if not baseline.is_control or baseline.arm.factory is not None:
        return ()
    work, arm = baseline.workload, baseline.arm
    candidates = (c.arm for c in comparisons if (c.workload, c.baseline) == (work, arm))
    return tuple(dict.fromkeys(computed_in(each.precision) for each in candidates))


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
    for job in survey_jobs(plan.comparisons):
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
    return max(_SHARE * plan.budget_s, min(_LEAST_S, plan.budget_s - spent_s))
