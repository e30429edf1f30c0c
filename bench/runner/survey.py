"""The survey: every arm of a run alone, once, in processes of their own."""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bench.cases import flops
from bench.footprint import Measured, Survey, computed_in
from bench.journal import JournalReader, append_event, append_survey
from bench.plans import Plan, SurveyItem, SurveyPlan
from bench.record import CHOICE, MODEL_ARMS, Comparison, Sample
from bench.runner.deaths import Death
from bench.runner.processes import Kinds, Watch, module_command, work_off
from bench.store import write_json

# The survey gets this much of a run's time at most, or so many seconds where that is more; what it
# does not reach stays empty.
_SHARE = 0.2
_LEAST_S = 30.0
# What a case was in a pass that ran it to its end, and what is of interest besides.
_RUNS = {"ok", "wrong"}
_WORTH_A_LOOK = {*_RUNS, "oom"}
# With a time for each comparison, as much for each case, and at least this.
_EACH_S = 20.0


def items(comparisons: Sequence[Comparison]) -> list[SurveyItem]:
    """Every case of a run once; a baseline also tells the limit in what its rivals compute in.

    What the run chose comes first, then the smallest; whole models that compile come last, since
    one of them takes as long as many.
    """
    found: dict[str, SurveyItem] = {}
    for each in comparisons:
        item = SurveyItem(comparison=each, limits=_limits(each, comparisons))
        known = found.setdefault(item.key, item)
        limits = tuple(dict.fromkeys([*known.limits, *item.limits]))
        found[item.key] = replace(known, limits=limits)
    return sorted(found.values(), key=_cost)


def _cost(item: SurveyItem) -> tuple[bool, bool, float]:
    """Roughly in which order looks become more expensive; of a user's own arms nothing is known."""
    work, arm = item.comparison.workload, item.comparison.arm
    is_asked = item.comparison.factor != CHOICE
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
) -> list[SurveyItem]:
    """The cases of a run that are still to be looked at, after what became of them in its passes.

    What failed there would fail again. Of what had not enough memory the need is predicted.
    """
    if not plan.survey:
        return []
    outcomes = _outcomes(plan.comparisons, samples)
    found = []
    for item in items(plan.comparisons):
        outcome = outcomes.get(item.key, set())
        if item.key in surveys or (outcome and not outcome & _WORTH_A_LOOK):
            continue
        found.append(replace(item, shapes_only=bool(outcome) and not outcome & _RUNS))
    return found


def _outcomes(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> dict[str, set[str]]:
    """The statuses that each case had as a candidate or as its own control."""
    keys = {each.key: SurveyItem(comparison=each).key for each in comparisons}
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


def run_survey(
    plan: Plan,
    chosen: Sequence[SurveyItem],
    place: "Place",
    reader: JournalReader,
    watch: Watch,
) -> None:
    """Look at each case alone. Raises like ``work_off``."""
    told = SurveyPlan(
        items=tuple(chosen),
        end_s=time.time() + seconds(plan, len(chosen), place.spent_s),
        threads=place.threads,
        parent=os.getpid(),
        journal=place.journal,
        directory=plan.directory,
        compiled=place.compiled,
    )
    work_off(SurveyTask(told), reader, watch, plan.case_timeout_s)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run's processes write, on how many threads they compute, what the run has spent."""

    journal: Path
    compiled: Path
    threads: int
    spent_s: float = 0.0


@dataclass(frozen=True)
class SurveyTask:
    """A survey as ``work_off`` sees it."""

    plan: SurveyPlan
    kinds = Kinds("survey_start", "survey")

    @property
    def journal(self) -> Path:
        """Where they write."""
        return self.plan.journal

    @property
    def directory(self) -> Path | None:
        """Where they run."""
        return self.plan.directory

    @property
    def keys(self) -> Collection[str]:
        """What is left to do."""
        return [each.key for each in self.plan.items]

    def name(self, attempt: int) -> str:
        """What the files of a process are called."""
        return "survey" + (f"-again-{attempt}" if attempt else "")

    def without(self, done: Collection[str]) -> Self:
        """The same without what is done."""
        rest = tuple(each for each in self.plan.items if each.key not in done)
        return replace(self, plan=replace(self.plan, items=rest))

    def command(self, stem: Path) -> list[str]:
        """The command line of the process, which is told its plan by a file."""
        plan_file = stem.with_suffix(".plan.json")
        write_json(plan_file, self.plan)
        return module_command("bench.worker", str(self.plan.parent), "bench.survey", str(plan_file))

    def begun(self) -> None:
        """Write that a process starts."""
        append_event(self.journal, "process", survey=True)

    def lost(self, key: str, ended: Death) -> None:
        """Write what became of the case under way."""
        append_survey(self.journal, lost_survey(key, ended), died=True)


def lost_survey(key: str, ended: Death) -> Survey:
    """What is known of a case whose process ended while it was looked at."""
    return Survey(key=key, measured=Measured(status=ended.status, error=ended.cause))
