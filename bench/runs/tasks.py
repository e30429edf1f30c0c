"""Tasks for worker processes: passes, surveys and single jobs; and the probe of the machine."""

import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from bench.files.journal import Event, JournalReader
from bench.files.run_folder import record_from
from bench.records.arm_costs import Case, MeasuredMemory
from bench.records.comparison import CHOICE, Comparison
from bench.records.environment import Environment
from bench.records.errors import InputError, RunError
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.records.task import Job, MemoryJob, PassJob, SurveyJob, Task
from bench.runs.levels import PRECISION
from bench.runs.processes import OnEvent, module_command, run_to_completion
from bench.runs.schedule import NextPass
from bench.runs.survey import seconds
from bench.suite.work import flops


def probe() -> Environment:
    """Describe the machine, from a process of its own. Raises InputError if torch does not load."""
    command = module_command("bench.machine.environment")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"torch cannot be loaded here ({lines[-1]}); reinstall vitbench")
    return record_from(json.loads(done.stdout), Environment)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Files, threads and elapsed time for the processes of a run."""

    journal: Path
    compiled: Path
    """Folder of the compilers' caches."""
    threads: int
    spent_s: float = 0.0
    """Seconds of the run so far."""


def pass_task(
    plan: Plan, coming: NextPass, place: Place, samples: Sequence[Sample] = ()
) -> Task[PassJob]:
    """Return the task of a pass; ``samples`` are those of earlier passes."""
    now_s = time.time()
    groups: dict[str, list[Comparison]] = defaultdict(list)
    for each in coming.comparisons:
        groups[each.group].append(each)
    is_choice = all(each.factor == CHOICE for each in coming.comparisons)
    return Task(
        kind="pass",
        name=f"{'choice' if is_choice else 'pass'}-{coming.index + 1}",
        jobs=tuple(_pass_job(plan, coming, group, samples) for group in _in_order(groups.values())),
        journal=place.journal,
        parent=os.getpid(),
        limit_s=plan.case_timeout_s,
        deadline_s=now_s + coming.seconds,
        end_s=now_s + max(plan.budget_s - place.spent_s, 0.0),
        threads=place.threads,
        directory=plan.directory,
        compiled=place.compiled,
    )


def _in_order(groups: Iterable[Sequence[Comparison]]) -> list[Sequence[Comparison]]:
    """Return groups in their order; where all compare precisions, the small ones first.

    A precision that loses by far on a small workload is not measured on a large one.
    """
    found = list(groups)
    if all(each.factor == PRECISION for group in found for each in group):
        found.sort(key=lambda group: flops(group[0].workload))
    return found


def _pass_job(
    plan: Plan, coming: NextPass, group: Sequence[Comparison], samples: Sequence[Sample]
) -> PassJob:
    keys = {each.key for each in group}
    before = [each for each in samples if each.key in keys]
    weight = fmean(coming.weights.get(key, 1.0) for key in keys)
    candidates = sum(not each.is_control for each in group) or 1
    return PassJob(
        comparisons=tuple(sorted(group, key=lambda each: not each.is_control)),
        pass_index=coming.index,
        weight=weight,
        ready_s=_ready_s([each for each in before if each.arm_s]),
        measure_s=plan.each_s / plan.passes * candidates if plan.each_s else None,
        checked=tuple(sorted({s.key for s in before if s.output_error is not None})),
    )


def _ready_s(samples: Sequence[Sample]) -> float | None:
    """Return the least seconds of getting a group ready in one pass; the first also compiles."""
    by_pass: dict[int, float] = defaultdict(float)
    for sample in samples:
        by_pass[sample.pass_index] += sample.prepare_s
    return min(by_pass.values(), default=None)


def survey_task(plan: Plan, jobs: Sequence[SurveyJob], place: Place) -> Task[SurveyJob]:
    """Return the task of a survey."""
    return Task(
        kind="survey",
        name="survey",
        jobs=tuple(jobs),
        journal=place.journal,
        parent=os.getpid(),
        limit_s=plan.case_timeout_s,
        end_s=time.time() + seconds(plan, len(jobs), place.spent_s),
        threads=place.threads,
        directory=plan.directory,
        compiled=place.compiled,
    )


def measure_memory(case: Case, limit_s: float) -> MeasuredMemory:
    """Measure the memory of a case in a worker; a crash, a hang or lack of memory is a status."""
    try:
        return record_from(run_alone("memory", MemoryJob(case=case), limit_s), MeasuredMemory)
    except RunError as error:
        return MeasuredMemory(status="crashed", error=str(error))


def run_alone(kind: str, job: Job, limit_s: float, watch: OnEvent = lambda _: None) -> Event:
    """Run one job with a temporary journal; return the event of its outcome.

    Raises RunError if the worker ends before it starts the job.
    """
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        watch(event)

    with TemporaryDirectory(prefix="vitbench-") as name:
        folder = Path(name)
        (folder / "passes").mkdir()
        task = Task(
            kind=kind,
            name=kind,
            jobs=(job,),
            journal=folder / "journal.jsonl",
            parent=os.getpid(),
            limit_s=limit_s,
            is_temporary=True,
        )
        run_to_completion(task, JournalReader(task.journal), note)
    return events[-1]
