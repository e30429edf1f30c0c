"""Run from request to rows: probe the machine, plan, measure the passes, merge."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Protocol

from bench.analysis.aim import Aim
from bench.files.journal import Event, JournalReader, append_event
from bench.files.lock import device_locks, folder_lock
from bench.files.results_csv import write_csv
from bench.files.run_folder import create_run_folder, read_environment, read_plan
from bench.records.arm_costs import Survey
from bench.records.comparison import CHOICE
from bench.records.environment import Environment, differences
from bench.records.errors import InputError, RunError
from bench.records.plan import Choice, Plan
from bench.records.sample import Sample
from bench.runs.checks import check_budget, check_objective
from bench.runs.levels import is_staged
from bench.runs.processes import run_to_completion
from bench.runs.schedule import NextPass
from bench.runs.settings import RunSettings, run_folder
from bench.runs.state import RunState, load
from bench.runs.tasks import Place, pass_task, probe, survey_task
from bench.suite.availability import check_devices
from bench.suite.grid import Selection, comparisons
from bench.usercode.sources import check_unchanged

# Folder of the compilers' caches of a run, removed when it is complete: not shared with others.
_COMPILED = "compiled"


class Progress(Protocol):
    """A display of a run's progress."""

    def begin(self, plan: Plan, samples: Sequence[Sample], spent_s: float, torn: int) -> None:
        """Show a run so far; ``torn`` lines of its journal are incomplete."""

    def show_start(self, key: str, pass_index: int | None) -> None:
        """Show the start of a comparison in a pass, or of a case in the survey (None)."""

    def show_sample(self, sample: Sample) -> None:
        """Count a measured comparison of a pass."""

    def show_survey(self, survey: Survey) -> None:
        """Count a surveyed case."""

    def show_wait(self, text: str) -> None:
        """Show what a measurement waits for."""

    def show_interrupt(self, limit_s: float) -> None:
        """Show the effect of an interrupt, and its maximum duration."""

    def extend(self, count: int) -> None:
        """Add coming measurements: of a further pass or a choice."""

    def begin_survey(self, count: int, seconds: float) -> None:
        """Add the cases of a survey, which takes at most ``seconds``."""

    def end(self) -> None:
        """Remove the display."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """Request for a run of the grid; ``devices`` is None for all devices of the machine."""

    settings: RunSettings
    selection: Selection
    devices: tuple[str, ...] | None
    precision: float | None
    delta: float
    choose: bool = True
    aim: Aim = field(default_factory=Aim)


def run(request: RunRequest, progress: Progress) -> RunState:
    """Measure a selection of the grid.

    Raises InputError, before anything is written, for a request that cannot be met here, RunError
    if the run cannot continue. When interrupted, the rows measured so far are written before
    KeyboardInterrupt propagates.
    """
    start, settings = datetime.now(UTC), request.settings
    environment = probe()
    check_devices(request.devices or (), environment.devices)
    check_budget(settings.budget_s, settings.passes, environment)
    devices = environment.devices if request.devices is None else request.devices
    check_objective(request.aim.objective, devices, environment)
    compared = comparisons(replace(request.selection, devices=devices))
    with run_folder(settings.folder) as folder:
        plan = replace(
            settings.plan(folder, compared),
            started=start.isoformat(timespec="seconds"),
            # The time until here is part of the budget.
            budget_s=settings.budget_s - (datetime.now(UTC) - start).total_seconds(),
            precision=request.precision,
            delta=request.delta,
            choose=request.choose,
            precision_first=request.choose and is_staged(compared),
            objective=request.aim.objective,
            max_error=request.aim.max_error,
        )
        return execute(plan, environment, folder, progress, lock=settings.lock)


def execute(
    plan: Plan, environment: Environment, folder: Path, progress: Progress, *, lock: bool = True
) -> RunState:
    """Measure a plan in a new folder. Raises like ``run``."""
    with _locks(plan, folder, lock=lock):
        create_run_folder(folder, plan, environment)
        with folder_lock(folder):
            return _complete(RunState(folder, plan, environment), progress)


def resume(folder: Path, progress: Progress, *, lock: bool = True) -> RunState:
    """Finish a run that was ended at any time.

    Raises InputError for another folder, a run that is being measured, or another machine, code or
    torch than before.
    """
    plan, before = read_plan(folder), read_environment(folder)
    now = probe()
    if found := differences(before, now):
        raise InputError(
            f"{folder} cannot be resumed here: {'; '.join(found)}; start a new run instead"
        )
    with _locks(plan, folder, lock=lock), folder_lock(folder):
        return _complete(RunState(folder, plan, before), progress)


@contextmanager
def _locks(plan: Plan, folder: Path, *, lock: bool) -> Iterator[None]:
    devices = sorted({each.workload.device for each in plan.comparisons})
    with device_locks(devices, f"{plan.command} into {folder}") if lock else nullcontext():
        yield


def _complete(state: RunState, progress: Progress) -> RunState:
    """Measure the rest and write the rows; when interrupted, those measured so far."""
    folder = state.folder
    with ExitStack() as stack:
        stack.callback(progress.end)
        try:
            _measure(state, progress)
            # Only a resumed run needs its compilers' caches.
            shutil.rmtree(folder / _COMPILED, ignore_errors=True)
            return _write(state)
        except BaseException as error:
            with suppress(Exception):  # The first error counts; a report computes the rows again.
                _write(load(folder))
            if isinstance(error, OSError):
                raise RunError(_unwritable(folder, error)) from error
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(str(folder)) from error
            raise


def _measure(state: RunState, progress: Progress) -> None:
    """Take steps until none is left; each depends on the results of those before."""
    reader = JournalReader(state.folder / "journal.jsonl")
    for event in reader.new_events(final=True):
        state.add(event)
    progress.begin(state.first_plan, state.samples, state.spent_s, reader.torn)
    show = partial(_show, state=state, progress=progress)
    while True:
        if state.plan.directory is not None:
            check_unchanged(state.plan.sources, state.plan.directory)
        match state.next_step():
            case None:
                return
            case Choice() as choice:
                append_event(reader.journal, CHOICE, **asdict(choice))
            case NextPass() as coming:
                progress.extend(max(state.passes_left, len(coming.comparisons)))
                task = pass_task(state.plan, coming, _place(state), state.samples)
                run_to_completion(task, reader, show)
            case jobs:
                asked = survey_task(state.plan, jobs, _place(state))
                progress.begin_survey(len(jobs), asked.end_s - time.time())
                run_to_completion(asked, reader, show)
        for event in reader.new_events(final=True):
            show(event)


def _show(event: Event, *, state: RunState, progress: Progress) -> None:
    """Add an event to the state and show it."""
    match state.add(event):
        case Sample() as sample:
            progress.show_sample(sample)
        case Survey() as survey:
            progress.show_survey(survey)
    if event["kind"] in ("start", "survey_start"):
        progress.show_start(event["key"], event.get("pass_index"))
    elif event["kind"] == "progress":
        progress.show_wait(event["text"])
    elif event["kind"] == "interrupt":
        progress.show_interrupt(event["limit_s"])


def _write(state: RunState) -> RunState:
    write_csv(state.folder / "results.csv", state.records)
    return state


def _unwritable(folder: Path, error: OSError) -> str:
    if not folder.exists():
        return f"{folder} was removed during the run, with its measurements; start a new run"
    return (
        f"{error.filename or f'folder {folder}'} cannot be written ({error.strerror}); what was "
        f"measured is kept: make room, then go on with: vitbench run --resume {quote(str(folder))}"
    )


def _place(state: RunState) -> Place:
    folder = state.folder.absolute()
    return Place(
        journal=folder / "journal.jsonl",
        compiled=folder / _COMPILED,
        threads=state.environment.threads,
        spent_s=state.spent_s,
    )
