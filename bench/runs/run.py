"""A run from request to rows: look at the machine, plan, run the passes, merge."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Protocol

from bench.files.journal import JournalReader, append_event, samples_from
from bench.files.lock import device_locks, folder_lock
from bench.files.results_csv import write_csv
from bench.files.run_folder import check_run_folder, create_run_folder, read_environment, read_plan
from bench.records.comparison import CHOICE, Sample
from bench.records.environment import Environment, differences
from bench.records.errors import InputError, RunError
from bench.records.plan import Choice, Plan
from bench.records.task import PassPlan
from bench.runs import survey
from bench.runs.checks import Request, check_budget, check_devices, check_objective, startup_s
from bench.runs.combination import SURVEYED, affordable, wanted
from bench.runs.processes import Event
from bench.runs.results import Results, load
from bench.runs.schedule import REPORT_S, NextPass, next_pass, spent_s
from bench.runs.tasks import Place, probe, run_pass, run_survey
from bench.suite.grid import comparisons
from bench.usercode.sources import check_unchanged

# Where a run's compiler keeps its code until the run is complete: no other run warms it.
_COMPILED = "compiled"


class Progress(Protocol):
    """Where a run tells how far it is."""

    def begin(self, plan: Plan, samples: list[Sample], spent_s: float) -> None:
        """The run starts, or goes on with what was measured before."""

    def event(self, event: Event) -> None:
        """A comparison started or was measured."""

    def further(self, count: int) -> None:
        """A further pass measures so many comparisons again, or a survey looks at so many cases."""

    def end(self) -> None:
        """Nothing more will come."""


def run(request: Request, progress: Progress) -> Results:
    """Measure what was asked for.

    Raises InputError, before anything is written, where the request cannot be met here, RunError
    where it cannot go on. When interrupted, the rows measured so far are written before
    KeyboardInterrupt goes on.
    """
    start = datetime.now(UTC)
    check_run_folder(request.folder)
    environment = probe()
    check_devices(request.devices or (), environment)
    check_budget(request.budget_s, request.passes, environment)
    devices = environment.devices if request.devices is None else request.devices
    check_objective(request.aim.objective, devices, environment)
    selection = replace(request.selection, devices=devices)
    plan = Plan(
        run_id=request.folder.absolute().name,
        started=start.isoformat(timespec="seconds"),
        command=request.command,
        passes=request.passes,
        seed=request.seed,
        # What it took to get here is part of the budget.
        budget_s=request.budget_s - (datetime.now(UTC) - start).total_seconds(),
        precision=request.precision,
        delta=request.delta,
        case_timeout_s=request.case_timeout_s,
        comparisons=comparisons(selection),
        survey=request.survey,
        choose=request.choose,
        objective=request.aim.objective,
        max_error=request.aim.max_error,
    )
    return execute(plan, environment, request.folder, progress, lock=request.lock)


def execute(
    plan: Plan, environment: Environment, folder: Path, progress: Progress, *, lock: bool = True
) -> Results:
    """Measure what a plan says, in a new folder. Raises like ``run``."""
    with _locks(plan, folder, lock=lock):
        create_run_folder(folder, plan, environment)
        with folder_lock(folder):
            return _complete(plan, environment, folder, progress)


def resume(folder: Path, progress: Progress, *, lock: bool = True) -> Results:
    """Finish a run that was ended at any moment.

    Raises InputError where it is no run's folder, where it is being measured already, or where the
    machine, the code or torch is another than it was.
    """
    plan, before = read_plan(folder), read_environment(folder)
    now = probe()
    if found := differences(before, now):
        raise InputError(
            f"{folder} cannot be resumed here: {'; '.join(found)}; start a new run instead"
        )
    with _locks(plan, folder, lock=lock), folder_lock(folder):
        return _complete(plan, before, folder, progress)


@contextmanager
def _locks(plan: Plan, folder: Path, *, lock: bool) -> Iterator[None]:
    devices = sorted({each.workload.device for each in plan.comparisons})
    with device_locks(devices, f"{plan.command} into {folder}") if lock else nullcontext():
        yield


def _complete(plan: Plan, environment: Environment, folder: Path, progress: Progress) -> Results:
    """Run the passes and write the rows; whatever ends the run, they are written if they can be."""
    with ExitStack() as stack:
        stack.callback(progress.end)
        try:
            _run_passes(plan, environment, folder, progress)
            # Whoever goes on with a run wants what its compiler has made; afterwards nobody does.
            shutil.rmtree(folder / _COMPILED, ignore_errors=True)
            return _write(load(folder, plan, environment))
        except BaseException as error:
            with suppress(Exception):  # The first error counts; report makes the rows again.
                _write(load(folder))
            if isinstance(error, OSError):
                raise RunError(_unwritable(folder, error)) from error
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(str(folder)) from error
            raise


def _write(results: Results) -> Results:
    write_csv(results.folder / "results.csv", results.records)
    return results


def _unwritable(folder: Path, error: OSError) -> str:
    if not folder.exists():
        return f"{folder} was removed while it was measured into; its measurements are gone with it"
    return (
        f"{error.filename or f'folder {folder}'} cannot be written ({error.strerror}); what was "
        f"measured is kept: make room, then go on with: vitbench run --resume {quote(str(folder))}"
    )


def _run_passes(plan: Plan, environment: Environment, folder: Path, progress: Progress) -> None:
    reader = JournalReader(folder / "journal.jsonl")
    events = reader.new_events(final=True)
    progress.begin(plan, samples_from(events), spent_s(events))
    while True:
        so_far = load(folder, plan, environment)
        coming = next_pass(
            so_far.plan,
            so_far.samples,
            so_far.widths,
            so_far.spent_s,
            startup_s(environment),
        )
        if plan.directory is not None:
            check_unchanged(plan.sources, plan.directory)
        if coming is None or coming.index >= plan.passes:
            looks = survey.left(so_far.plan, so_far.surveys, so_far.samples)
            if wholes := _wholes(so_far, looks=len(looks)):
                append_event(reader.journal, CHOICE, **asdict(wholes))
                progress.further(len(wholes.comparisons) * wholes.passes)
                continue
            if looks:
                progress.further(len(looks))
                place = _place(environment, folder, so_far.spent_s)
                run_survey(plan, looks, place, reader, progress.event)
                continue
            if coming is None:
                return
            progress.further(len(coming.comparisons))
        pass_plan = _pass_plan(plan, environment, so_far, coming)
        run_pass(pass_plan, reader, progress.event, plan.case_timeout_s)


def _wholes(so_far: Results, *, looks: int) -> Choice | None:
    """What the run chooses now, as far as there is time to measure it; ``looks`` are still due."""
    plan, first_s = so_far.plan, startup_s(so_far.environment)
    if not plan.choose or (looks and plan.objective in SURVEYED):
        return None
    # Most of what there is to look at is small, and what is not is less than what to choose.
    kept_s = REPORT_S + (survey.seconds(plan, looks, so_far.spent_s) / 2 if looks else 0.0)
    left_s = plan.budget_s - so_far.spent_s - kept_s
    return affordable(wanted(plan, so_far.records), left_s, first_s, plan.passes)


def _place(environment: Environment, folder: Path, spent_s: float) -> Place:
    folder = folder.absolute()
    return Place(
        journal=folder / "journal.jsonl",
        compiled=folder / _COMPILED,
        threads=environment.threads,
        spent_s=spent_s,
    )


def _pass_plan(plan: Plan, environment: Environment, so_far: Results, coming: NextPass) -> PassPlan:
    now_s = time.time()
    return PassPlan(
        pass_index=coming.index,
        deadline_s=now_s + coming.seconds,
        end_s=now_s + max(plan.budget_s - so_far.spent_s, 0.0),
        each_s=plan.each_s / plan.passes if plan.each_s else None,
        weights=coming.weights,
        checked=tuple(each.key for each in so_far.samples if each.output_error is not None),
        threads=environment.threads,
        parent=os.getpid(),
        journal=(so_far.folder / "journal.jsonl").absolute(),
        comparisons=coming.comparisons,
        ready_s=_ready_s(so_far.samples),
        directory=plan.directory,
        compiled=(so_far.folder / _COMPILED).absolute(),
    )


def _ready_s(samples: Sequence[Sample]) -> dict[str, float]:
    """The least that each comparison took to get ready: the first pass also checks and compiles."""
    measured = [each for each in samples if each.arm_s]
    keys = {each.key for each in measured}
    return {key: min(each.prepare_s for each in measured if each.key == key) for key in keys}
