"""The survey: every arm of a run alone, once, in processes of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.records.arm_costs import Survey, computed_in
from bench.records.comparison import CHOICE, MODEL_ARMS, Comparison, Sample
from bench.records.plan import Plan
from bench.records.task import SurveyJob
from bench.suite.work import flops

# The survey gets this much of a run's time at most, or so many seconds where that is more; what it
# does not reach stays empty.
_SHARE = 0.2
_LEAST_S = 30.0
# What a case was in a pass that ran it to its end, and what is of interest besides.
_RUNS = {"ok", "wrong"}
_WORTH_A_LOOK = {*_RUNS, "oom"}
# With a time for each comparison, as much for each case, and at least this.
_EACH_S = 20.0


def survey_jobs(comparisons: Sequence[Comparison]) -> list[SurveyJob]:
    """Every case of a run once; a baseline also tells the limit in what its rivals compute in.

    What the run chose comes first, then the smallest; whole models that compile come last, since
    one of them takes as long as many.
    """
    found: dict[str, SurveyJob] = {}
    for each in comparisons:
        job = SurveyJob(comparison=each, limits=_limits(each, comparisons))
        known = found.setdefault(job.key, job)
        limits = tuple(dict.fromkeys([*known.limits, *job.limits]))
        found[job.key] = replace(known, limits=limits)
    return sorted(found.values(), key=_cost)


def _cost(job: SurveyJob) -> tuple[bool, bool, float]:
    """Roughly in which order looks become more expensive; of a user's own arms nothing is known."""
    work, arm = job.comparison.workload, job.comparison.arm
    is_asked = job.comparison.factor != CHOICE
    return arm.compile in MODEL_ARMS, is_asked, flops(work) if work.variant else 0.0


def _limits(baseline: Comparison, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """What is computed in by the arms that are compared with this one; parts of vitcore alone."""
    if not baseline.is_control or baseline.arm.factory is not None:
        return ()
    work, arm = baseline.workload, baseline.arm
    rivals = (c.arm for c in comparisons if (c.workload, c.baseline) == (work, arm))
    return tuple(dict.fromkeys(computed_in(each.precision) for each in rivals))


def left(
    plan: Plan, surveys: Mapping[str, Survey], samples: Sequence[Sample] = ()
) -> list[SurveyJob]:
    """The cases of a run that are still to be looked at, after what became of them in its passes.

    What failed there would fail again. Of what had not enough memory the need is predicted.
    """
    if not plan.survey:
        return []
    outcomes = _outcomes(plan.comparisons, samples)
    found = []
    for job in survey_jobs(plan.comparisons):
        outcome = outcomes.get(job.key, set())
        if job.key in surveys or (outcome and not outcome & _WORTH_A_LOOK):
            continue
        found.append(replace(job, shapes_only=bool(outcome) and not outcome & _RUNS))
    return found


def _outcomes(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> dict[str, set[str]]:
    """The statuses that each case had as a candidate or as its own control."""
    keys = {each.key: SurveyJob(comparison=each).key for each in comparisons}
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.key in keys:
            found.setdefault(keys[sample.key], set()).add(sample.status)
    return found


def seconds(plan: Plan, cases: int, spent_s: float) -> float:
    """How long the survey of so many cases may take, after so many seconds of the run."""
    # What a gate is to tell must be told: there is no passing for want of time.
    if plan.each_s is not None or plan.gate is not None:
        return cases * max(_EACH_S, plan.each_s or 0.0)
    return max(_SHARE * plan.budget_s, min(_LEAST_S, plan.budget_s - spent_s))
