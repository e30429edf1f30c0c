"""Progress of a run: a bar in a terminal, a line for each comparison elsewhere."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import ceil

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from bench.analysis.rows import speedup
from bench.records.arm_costs import Case, MeasuredMemory, Survey
from bench.records.comparison import DEFAULT_ARM, Comparison
from bench.records.errors import NO_TIME
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.report.units import bounds, counted, duration, memory, times

# Drawing costs the processor that is being measured.
_REFRESH_PER_S = 2
_SURVEY = "survey"


class RunProgress:
    """Shows each record of a run as it comes; ``console`` should be standard error."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.done = 0
        # Names of places, and how often each had no time left; not shown yet.
        self.late: Counter[str] = Counter()
        self.survey_end_s = 0.0
        self.bar = Progress(
            TextColumn("{task.fields[place]}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            TextColumn("{task.fields[so_far]}", markup=False),
            TextColumn("{task.description}", style="cyan", markup=False),
            console=console,
            refresh_per_second=_REFRESH_PER_S,
            disable=not console.is_terminal,
            transient=True,
        )

    def begin(self, plan: Plan, samples: Iterable[Sample], spent_s: float, torn: int) -> None:
        """Show the bar, with what was measured before; say which lines of the journal are lost."""
        if torn:
            lines = counted(torn, "half-written line")
            text = f"{lines} of the journal will be measured again"
            self.console.print(text, soft_wrap=True, highlight=False)
        self.plan, self.start_s = plan, time.monotonic() - spent_s
        self.names = dict(_names(plan.comparisons))
        for sample in samples:
            self.samples[sample.key].append(sample)
            self.done += 1
        self.total = len(plan.comparisons) * plan.passes
        self.task: TaskID = self.bar.add_task(
            "starting", total=self.total, completed=self.done, place="", left="", so_far=""
        )
        self.bar.start()

    def extend(self, count: int) -> None:
        """Add comparisons to measure to those that are done."""
        self.total = self.done + count
        self.bar.update(self.task, total=self.total)

    def begin_survey(self, count: int, seconds: float) -> None:
        """Add cases to survey, which take at most ``seconds`` from now on."""
        self.survey_end_s = time.monotonic() + seconds
        self.extend(count)

    def show_interrupt(self, limit_s: float) -> None:
        """Say what an interrupt does, and how long that takes at most."""
        limit = duration(limit_s)
        text = f"finishing the round under way, {limit} at most; Ctrl-C again ends at once"
        self.console.print(text, highlight=False)

    def show_wait(self, text: str) -> None:
        """Show what a measurement waits for, until the next one starts."""
        self.bar.update(self.task, description=text)
        if not self.console.is_terminal:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def show_start(self, key: str, pass_index: int | None) -> None:
        """Show what runs now: a comparison in a pass, or a case in the survey (None)."""
        place = self._place(pass_index)
        if place not in self.late:
            self._show_late()
        self.bar.update(
            self.task,
            description=self.names.get(key, key),
            place=place,
            so_far=self._so_far(key),
            left=self._left(pass_index),
        )

    def show_sample(self, sample: Sample) -> None:
        """Count a comparison that a pass has measured; show its speed-up over all passes so far."""
        self.samples[sample.key].append(sample)
        outcome = self._so_far(sample.key) if sample.status == "ok" else _failure(sample)
        self._count(sample.pass_index, sample.key, outcome, is_late=sample.error == NO_TIME)

    def show_survey(self, survey: Survey) -> None:
        """Count a case that was surveyed; show its memory."""
        found = survey.measured
        outcome = memory(found.allocated_bytes) if found.status == "ok" else _failure(found)
        self._count(None, survey.key, outcome, is_late=found.error == NO_TIME)

    def _place(self, pass_index: int | None) -> str:
        if pass_index is None:
            return _SURVEY
        number, planned = pass_index + 1, self.plan.passes + self.plan.precision_first
        return f"pass {number}/{planned}" if number <= planned else f"pass {number}"

    def _count(self, pass_index: int | None, key: str, outcome: str, *, is_late: bool) -> None:
        """Count a result and print its line; those that had no time are one line, later."""
        self.done += 1
        place, left = self._place(pass_index), self._left(pass_index)
        self.bar.update(self.task, completed=self.done, left=left)
        if is_late:
            self.late[place] += 1
            return
        self._show_late()
        if not self.console.is_terminal:
            name = self.names.get(key, key)
            self._print(f"{place}  {self.done}/{self.total}  {name}  {outcome}  {left}")

    def _show_late(self) -> None:
        """Say in one line for each place how many had no time left."""
        for place, count in self.late.items():
            what = counted(count, "case" if place == _SURVEY else "comparison")
            done = "surveyed" if place == _SURVEY else "measured"
            self._print(f"{place}  {what} not {done}: {NO_TIME}")
        self.late.clear()

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def end(self) -> None:
        """Remove the bar."""
        self._show_late()
        self.bar.stop()

    def _so_far(self, key: str) -> str:
        interval = speedup(self.samples[key])
        if interval is None:
            return ""
        return f"{times(interval.value)} {bounds(interval.low, interval.high)}".strip()

    def _left(self, pass_index: int | None) -> str:
        """Return the time that the survey (None) or the run may still take."""
        now_s = time.monotonic()
        if pass_index is None:
            return _at_most(self.survey_end_s - now_s, " for the survey")
        spent_s = now_s - self.start_s
        if self.plan.each_s is None:
            return _at_most(self.plan.budget_s - spent_s)
        if not self.done:
            return ""
        return f"{duration(spent_s / self.done * (self.total - self.done))} left"


def _at_most(left_s: float, what: str = "") -> str:
    """Return the most time left; after it what runs is finished, and nothing more begins."""
    return f"{duration(ceil(left_s))} left{what} at most" if left_s > 0 else "time is up"


def _names(comparisons: Iterable[Comparison]) -> Iterator[tuple[str, str]]:
    """Yield key and name of each group, comparison and case; a user's own arm names itself."""
    for each in comparisons:
        if each.arm.factory is not None:
            yield each.key, each.arm_name + (" (control)" if each.is_control else "")
        else:
            yield each.group, _group_name(each)
        for arm in (each.arm, each.baseline):
            case = Case(workload=each.workload, arm=arm)
            yield case.key, case.name


def _group_name(comparison: Comparison) -> str:
    """Name of a part of vitcore's group: ``B/16 b1 forward, parts inside the model``."""
    work, level = comparison.workload, comparison.baseline.precision
    place = "parts inside the model" if comparison.is_inside else work.component
    at = "" if level == DEFAULT_ARM.precision else f" in {level}"
    return f"{work.name_without_component}, {place}{at}"


def _failure(what: Sample | MeasuredMemory) -> str:
    return f"{what.status}: {what.error}" if what.error else what.status
