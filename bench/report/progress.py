"""How far a run is: a bar in a terminal, a line for each comparison elsewhere."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from bench.analysis.rows import speedup
from bench.files.journal import samples_from, surveys_from
from bench.records.arm_costs import Case, Measured
from bench.records.comparison import Comparison, Sample
from bench.records.plan import Plan
from bench.report.units import bounds, duration, memory, times

# Drawing costs the processor that is being measured.
_REFRESH_PER_S = 2


class RunProgress:
    """Follows the journal's events; writes to ``console``, which should be standard error."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.done = 0
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

    def begin(self, plan: Plan, samples: list[Sample], spent_s: float) -> None:
        """Show the bar, with what was measured before."""
        self.plan, self.start_s = plan, time.monotonic() - spent_s
        self.names = dict(_names(plan.comparisons))
        for sample in samples:
            self.samples[sample.key].append(sample)
        self.done, self.total = len(samples), len(plan.comparisons) * plan.passes
        self.task: TaskID = self.bar.add_task(
            "starting", total=self.total, completed=self.done, place="", left="", so_far=""
        )
        self.bar.start()

    def further(self, count: int) -> None:
        """Count so many more comparisons, or cases to look at."""
        self.total = self.done + count
        self.bar.update(self.task, total=self.total)

    def event(self, event: dict[str, Any]) -> None:
        """Show what started, or count what was measured; say what an interrupt does."""
        if event["kind"] == "interrupt":
            limit = duration(event["limit_s"])
            text = f"finishing the pair under way, {limit} at most; Ctrl-C again ends at once"
            self.console.print(text, highlight=False)
        if event["kind"] in ("start", "survey_start"):
            key, so_far, left = event["key"], self._so_far(event["key"]), self._left()
            place = self._place(event)
            name = self.names.get(key, key)
            self.bar.update(self.task, description=name, place=place, so_far=so_far, left=left)
        for sample in samples_from([event]):
            self.samples[sample.key].append(sample)
            said = self._so_far(sample.key) if sample.status == "ok" else _failure(sample)
            self._count(self._place(event), sample.key, said)
        for survey in surveys_from([event]).values():
            found = survey.measured
            said = memory(found.allocated_bytes) if found.status == "ok" else _failure(found)
            self._count(self._place(event), survey.key, said)

    def _place(self, event: dict[str, Any]) -> str:
        """Where in the run an event belongs."""
        if "pass_index" not in event:
            return "survey"
        index = event["pass_index"] + 1
        return f"pass {index}/{self.plan.passes}" if index <= self.plan.passes else f"pass {index}"

    def _count(self, place: str, key: str, outcome: str) -> None:
        self.done += 1
        self.bar.update(self.task, completed=self.done, left=self._left())
        if not self.console.is_terminal:
            name = self.names.get(key, key)
            line = f"{place}  {self.done}/{self.total}  {name}  {outcome}  {self._left()}"
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def end(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _so_far(self, key: str) -> str:
        interval = speedup(self.samples[key])
        if interval is None:
            return ""
        return f"{times(interval.value)} {bounds(interval.low, interval.high)}".strip()

    def _left(self) -> str:
        spent_s = time.monotonic() - self.start_s
        if self.plan.each_s is None:
            return f"{duration(self.plan.budget_s - spent_s)} left at most"
        if not self.done:
            return ""
        return f"{duration(spent_s / self.done * (self.total - self.done))} left"


def _names(comparisons: Iterable[Comparison]) -> Iterator[tuple[str, str]]:
    """What comparisons, and cases that are looked at, are called: of a user's own arms the arm."""
    for each in comparisons:
        if each.arm.factory is not None:
            yield each.key, each.arm_name + (" (control)" if each.is_control else "")
        for arm in (each.arm, each.baseline):
            case = Case(workload=each.workload, arm=arm)
            yield case.key, case.name


def _failure(what: Sample | Measured) -> str:
    return f"{what.status}: {what.error}" if what.error else what.status
