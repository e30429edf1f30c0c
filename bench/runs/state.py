"""The state of a run: its plan, its machine, and the records of its journal's events.

Each event is read once and becomes one record. Everything that follows from a run so far (the next
step, the rows, the decisions, the report) is computed from these records on demand.
"""

from pathlib import Path

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision
from bench.analysis.gate import is_open, over_looks
from bench.analysis.rows import Analysis, analyse
from bench.files.journal import Event, read_events, record_of
from bench.files.run_folder import read_environment, read_plan
from bench.records.arm_costs import Survey
from bench.records.environment import Environment
from bench.records.plan import Choice, Plan
from bench.records.row import Record
from bench.records.sample import Sample
from bench.records.task import SurveyJob
from bench.report.report_data import ReportData
from bench.runs import survey
from bench.runs.checks import startup_s
from bench.runs.combination import (
    SURVEYED_OBJECTIVES,
    affordable,
    aim_of,
    decisions,
    wanted,
    with_choices,
)
from bench.runs.levels import wanted_levels
from bench.runs.schedule import REPORT_S, NextPass, next_pass, planned_left
from bench.runs.urgency import regrets, settled

# Seconds of the least further pass.
_FURTHER_S = 20.0
# Events that mark a finished measurement.
_DONE = ("sample", "survey")


class RunState:
    """A run so far; ``add`` feeds it the events of its journal, in their order."""

    def __init__(self, folder: Path, plan: Plan, environment: Environment) -> None:
        self.folder = folder
        # The plan at the start; ``plan`` also has the comparisons that the run chose since.
        self.first_plan = self.plan = plan
        self.environment = environment
        # By key of the case.
        self.surveys: dict[str, Survey] = {}
        self.choices: list[Choice] = []
        # Seconds of finished measurements.
        self.spent_s = 0.0
        self._samples: dict[tuple[str, int], Sample] = {}
        self._since_s: float | None = None
        self._analysis: Analysis | None = None

    def add(self, event: Event) -> Sample | Survey | Choice | None:
        """Add an event; return the record that it adds, or None.

        The first of several samples of one comparison in one pass counts, and the first of several
        surveys of one case. Raises InputError for an event that does not match its kind.
        """
        self._count_time(event)
        record = record_of(event)
        match record:
            case Sample() if (record.key, record.pass_index) not in self._samples:
                self._samples[record.key, record.pass_index] = record
            case Survey() if record.key not in self.surveys:
                self.surveys[record.key] = record
            case Choice():
                self.choices.append(record)
                self.plan = with_choices(self.first_plan, self.choices)
            case _:
                return None
        self._analysis = None
        return record

    def _count_time(self, event: Event) -> None:
        """Add the seconds of a finished measurement; those of a killed process do not count."""
        if event["kind"] in _DONE and self._since_s is not None:
            self.spent_s += max(event["time_s"] - self._since_s, 0.0)
        if event["kind"] in ("process", *_DONE):
            self._since_s = event["time_s"]

    @property
    def samples(self) -> list[Sample]:
        """The samples in the order of their measurement, one for each comparison and pass."""
        return list(self._samples.values())

    @property
    def analysis(self) -> Analysis:
        """The rows with their verdicts; computed again only after a new record."""
        if self._analysis is None:
            self._analysis = analyse(
                self.plan.run_id,
                self.plan.comparisons,
                self.samples,
                self.environment,
                self.plan.delta,
                self.surveys,
            )
        return self._analysis

    @property
    def records(self) -> list[Record]:
        """The rows, in the order of the plan's comparisons."""
        return self.analysis.records

    @property
    def urgency(self) -> dict[str, float]:
        """How much each comparison needs further passes, by key; at most 1 is enough.

        With a precision: the half-width of its interval / that precision. Otherwise, of a run that
        chooses: what the rivals of its factor could still gain of the whole / half of delta.
        """
        plan = self.plan
        if plan.precision is None:
            return regrets(plan, self.analysis, self.decisions()) if plan.choose else {}
        widths = {key: width / plan.precision for key, width in self.analysis.widths.items()}
        if plan.gate is None:
            return widths
        gate = plan.gate
        open_ = {key for key, row in self.gated_rows(is_last=False).items() if is_open(row, gate)}
        return {key: width for key, width in widths.items() if key in open_}

    @property
    def settled(self) -> frozenset[str]:
        """Keys of the candidates that planned passes need not measure again."""
        return settled(self.plan, self.analysis) if self.plan.choose else frozenset()

    def gated_rows(self, *, is_last: bool) -> dict[str, Record]:
        """Return the rows by key, with intervals that hold over all looks after further passes."""
        effects, rows = self.analysis.effects, {}
        for each, row in zip(self.plan.comparisons, self.records, strict=True):
            looks = max(row.passes - self.plan.passes, 0) + 1
            rows[each.key] = over_looks(row, effects.get(each.key), looks, is_last=is_last)
        return rows

    def next_step(self) -> NextPass | Choice | list[SurveyJob] | None:
        """Return the next step of the run; None if it is complete.

        First the planned passes; then the combinations chosen by them, which further planned passes
        measure; then the survey; then further passes.
        """
        first_s, settled = startup_s(self.environment), self.settled
        index, _ = next(planned_left(self.plan, self.samples, settled), (None, ()))
        if index != 0 and (levels := self._next_levels()):
            return levels
        coming = next_pass(self.plan, self.samples, self.urgency, self.spent_s, first_s, settled)
        if index is not None:
            return coming
        jobs = self.survey_left
        return self._next_choice(len(jobs)) or jobs or coming

    def _next_levels(self) -> Choice | None:
        """Return the comparisons at the precision that the first pass chose."""
        if not self.plan.precision_first:
            return None
        return wanted_levels(self.plan, self.records, self.aim)

    def _next_choice(self, cases: int) -> Choice | None:
        """Return the combinations that the run chooses now and has time to measure.

        ``cases`` is the number of cases left to survey.
        """
        plan = self.plan
        if not plan.choose or (cases and plan.objective in SURVEYED_OBJECTIVES):
            return None
        # Most cases of a survey are small, and choices matter more than the others.
        kept_s = REPORT_S + (survey.seconds(plan, cases, self.spent_s) / 2 if cases else 0.0)
        left_s = plan.budget_s - self.spent_s - kept_s
        found = wanted(plan, self.records)
        if (inside := tuple(c for c in found if c.is_inside)) and left_s > _FURTHER_S:
            return Choice(comparisons=inside, passes=0)
        others = [c for c in found if not c.is_inside]
        return affordable(others, left_s, startup_s(self.environment), plan.passes)

    @property
    def survey_left(self) -> list[SurveyJob]:
        """The cases left to survey."""
        return survey.left(self.plan, self.surveys, self.samples)

    @property
    def passes_left(self) -> int:
        """The number of measurements left in the planned passes."""
        return sum(len(g) for _, g in planned_left(self.plan, self.samples, self.settled))

    @property
    def left(self) -> int:
        """The number of measurements left in the planned passes and in the survey."""
        return self.passes_left + len(self.survey_left)

    @property
    def aim(self) -> Aim:
        """The aim of the run's own choice."""
        return aim_of(self.plan)

    def decisions(self, aim: Aim | None = None) -> list[Decision]:
        """Return the decisions for each situation, by the run's own aim or another."""
        return decisions(self.records, aim or self.aim, self.plan.delta)

    def report_data(self, aim: Aim) -> ReportData:
        """Return the data of a report."""
        return ReportData(
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
            spent_s=self.spent_s,
            timed_share=self.measuring_share,
        )

    @property
    def measure_s(self) -> float:
        """Seconds of settling and measuring, without imports, builds, checks and compiles."""
        return sum(sample.measure_s for sample in self.samples)

    @property
    def measuring_share(self) -> float | None:
        """Seconds inside timed calls / those of the whole run; None before the first sample."""
        timed_s = sum(sample.timed_s for sample in self.samples)
        return timed_s / self.spent_s if timed_s and self.spent_s else None


def load(folder: Path) -> RunState:
    """Read a run's folder. Raises InputError for another folder or a changed journal."""
    state = RunState(folder, read_plan(folder), read_environment(folder))
    events, _ = read_events(folder / "journal.jsonl")
    for event in events:
        state.add(event)
    return state
