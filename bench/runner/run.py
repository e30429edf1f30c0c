"""A run from request to rows: look at the machine, plan, run the passes, merge."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench.analysis.rows import rows
from bench.cases import shuffled
from bench.journal import JournalReader, read_samples
from bench.record import Environment, Record, Sample
from bench.runner.passes import Event, probe, run_pass
from bench.runner.plan import (
    Request,
    check_budget,
    check_devices,
    comparisons,
    pass_deadline,
)
from bench.store import (
    PassPlan,
    Plan,
    check_run_folder,
    create_run_folder,
    read_environment,
    read_plan,
    write_csv,
    write_json,
)


class Progress(Protocol):
    """Where a run tells how far it is."""

    def begin(self, plan: Plan) -> None:
        """The run starts."""

    def event(self, event: Event) -> None:
        """A comparison started or was measured."""

    def end(self) -> None:
        """Nothing more will come."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run's folder, and what stands in it."""

    folder: Path
    plan: Plan
    environment: Environment
    records: list[Record]
    samples: list[Sample]

    @property
    def measure_s(self) -> float:
        """Seconds of settling and measuring: imports, builds, checks and compiles are left out."""
        return sum(sample.measure_s for sample in self.samples)

    @property
    def measuring_share(self) -> float | None:
        """Seconds inside timed calls / ``measure_s``; None before the first sample."""
        timed_s = sum(sample.timed_s for sample in self.samples)
        return timed_s / self.measure_s if self.measure_s else None


def run(request: Request, progress: Progress) -> Results:
    """Measure what was asked for.

    Raises InputError, before anything is written, where the request cannot be met here. When
    interrupted, the rows measured so far are written before KeyboardInterrupt goes on.
    """
    start = datetime.now(UTC)
    check_run_folder(request.folder)
    environment = probe()
    check_devices(request.devices or (), environment)
    check_budget(request.budget_s, request.passes, environment)
    devices = environment.devices if request.devices is None else request.devices
    selection = replace(request.selection, devices=devices)
    plan = Plan(
        run_id=request.folder.absolute().name,
        started=start.isoformat(timespec="seconds"),
        command=request.command,
        passes=request.passes,
        seed=request.seed,
        budget_s=request.budget_s,
        comparisons=comparisons(selection),
    )
    create_run_folder(request.folder)
    write_json(request.folder / "plan.json", plan)
    write_json(request.folder / "environment.json", environment)
    progress.begin(plan)
    try:
        _run_passes(plan, request.folder, start.timestamp(), progress)
    finally:
        progress.end()
        results = load(request.folder)
        write_csv(request.folder / "results.csv", results.records)
    return results


def _run_passes(plan: Plan, folder: Path, start_s: float, progress: Progress) -> None:
    reader = JournalReader(folder / "journal.jsonl")
    left = plan.comparisons
    for index in range(plan.passes):
        pass_plan = PassPlan(
            pass_index=index,
            deadline_s=pass_deadline(start_s, plan.budget_s, index, plan.passes),
            end_s=start_s + plan.budget_s,
            check=index == 0,
            journal=folder / "journal.jsonl",
            comparisons=tuple(shuffled(left, plan.seed + index)),
        )
        run_pass(pass_plan, reader, progress.event)
        # A pass more would tell nothing new of what cannot run here or had no time; a crash may
        # have been another's fault.
        hopeless = {s.key for s in read_samples(folder) if s.status not in ("ok", "crashed")}
        left = tuple(comparison for comparison in left if comparison.key not in hopeless)
        if not left:
            return


def load(folder: Path) -> Results:
    """Read a run's folder and merge its passes. Raises InputError where it is no run."""
    plan, environment, samples = read_plan(folder), read_environment(folder), read_samples(folder)
    return Results(
        folder=folder,
        plan=plan,
        environment=environment,
        records=rows(plan.run_id, plan.comparisons, samples, environment),
        samples=samples,
    )
