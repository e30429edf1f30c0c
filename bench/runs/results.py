"""A run's folder, read back: what was measured, and what that says."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench.analysis.decision import Aim, Decision
from bench.analysis.gate import is_open
from bench.analysis.rows import Analysis, analyse
from bench.files.journal import choices_from, read_events, samples_from, surveys_from
from bench.files.run_folder import read_environment, read_plan
from bench.records.arm_costs import Survey
from bench.records.comparison import Sample
from bench.records.environment import Environment
from bench.records.plan import Plan
from bench.records.row import Record
from bench.report.report_data import Told
from bench.runs.combination import aim_of, decisions, with_choices
from bench.runs.schedule import planned_left, spent_s
from bench.runs.survey import left as survey_left


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run's folder, and what stands in it; the plan is with what the run chose to measure.

    ``surveys`` are by key of the case. ``torn`` counts half-written lines of the journal,
    ``spent_s`` the seconds that led to samples.
    """

    folder: Path
    plan: Plan
    environment: Environment
    analysis: Analysis
    samples: list[Sample]
    surveys: dict[str, Survey] = field(default_factory=dict)
    torn: int = 0
    spent_s: float = 0.0

    @cached_property
    def left(self) -> int:
        """How many measurements of the planned passes and looks of the survey are still to come."""
        passes = sum(len(group) for _, group in planned_left(self.plan, self.samples))
        return passes + len(survey_left(self.plan, self.surveys, self.samples))

    @property
    def widths(self) -> dict[str, float]:
        """Half-widths of intervals by comparison, of those that more passes may still go to."""
        if self.plan.gate is None:
            return self.analysis.widths
        rows = zip(self.plan.comparisons, self.records, strict=True)
        open_ = {each.key for each, row in rows if is_open(row, self.plan.gate)}
        return {key: width for key, width in self.analysis.widths.items() if key in open_}

    @property
    def records(self) -> list[Record]:
        """The rows."""
        return self.analysis.records

    @property
    def aim(self) -> Aim:
        """What the run was to choose by."""
        return aim_of(self.plan)

    def decisions(self, aim: Aim | None = None) -> list[Decision]:
        """What to choose, one decision for each situation; by the run's own aim, or another."""
        return decisions(self.records, aim or self.aim)

    def told(self, aim: Aim) -> Told:
        """All of it for a page or for another tool."""
        return Told(
            run_id=self.plan.run_id,
            command=self.plan.command,
            started=self.plan.started,
            environment=self.environment,
            analysis=self.analysis,
            decisions=self.decisions(aim),
            aim=aim,
            delta=self.plan.delta,
            own_commit=self.plan.commit,
            has_changes=self.plan.has_changes,
            folder=str(self.folder),
            left=self.left,
        )

    @property
    def measure_s(self) -> float:
        """Seconds of settling and measuring: imports, builds, checks and compiles are left out."""
        return sum(sample.measure_s for sample in self.samples)

    @property
    def measuring_share(self) -> float | None:
        """Seconds inside timed calls / ``measure_s``; None before the first sample."""
        timed_s = sum(sample.timed_s for sample in self.samples)
        return timed_s / self.measure_s if self.measure_s else None


def load(folder: Path, plan: Plan | None = None, environment: Environment | None = None) -> Results:
    """Read a run's folder and merge its passes. Raises InputError where it is no run."""
    plan, environment = plan or read_plan(folder), environment or read_environment(folder)
    events, torn = read_events(folder / "journal.jsonl")
    plan = with_choices(plan, choices_from(events))
    samples, surveys = samples_from(events), surveys_from(events)
    return Results(
        folder=folder,
        plan=plan,
        environment=environment,
        analysis=analyse(plan.run_id, plan.comparisons, samples, environment, plan.delta, surveys),
        samples=samples,
        surveys=surveys,
        torn=torn,
        spent_s=spent_s(events),
    )
