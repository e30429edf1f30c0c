"""Connect the benchmark modules to pytest and pytest-benchmark: options, grid, fixture."""

import argparse
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import click
import pytest

from bench.arms.build_and_check import build_arms
from bench.arms.building import is_arm_first
from bench.cli.options import names, numbers
from bench.files.lock import device_locks
from bench.files.run_folder import read_task
from bench.machine.calm import Patience
from bench.machine.environment import git
from bench.machine.load import watch_for
from bench.records.comparison import (
    CACHES,
    CHOICE,
    FACTORS,
    OWN_FACTOR,
    USUAL_FACTORS,
    USUAL_PIXELS,
    Comparison,
    Sample,
)
from bench.records.errors import InputError
from bench.records.task import PassJob, Task
from bench.suite.availability import check_devices
from bench.suite.grid import COMPONENT_CHOICES, Measure, Selection, expand, grid_of
from bench.timing.clocks import clock_for
from bench.timing.device import forget_imports, found_devices
from bench.timing.rounds import MAX_OWN_ROUNDS, MAX_ROUNDS, Benchmark
from bench.timing.yardstick import yardstick_s
from bench.worker.budget import BudgetSpentError, TimeBudget
from bench.worker.process import announce, finish_on_interrupt, keep, patience_for
from bench.worker.session import Session, measure

TASK = pytest.StashKey[Task[PassJob] | None]()
TIME_BUDGET = pytest.StashKey[TimeBudget]()
PATIENCE = pytest.StashKey[Patience]()
# Set when the current pair should be the last.
INTERRUPT = pytest.StashKey[Event]()
_FACTORS = f"of {','.join(FACTORS)}; default: {','.join(USUAL_FACTORS)}"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return numbers(text)
    except click.BadParameter as error:
        raise argparse.ArgumentTypeError(error.message) from error


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ``pytest bench``, which select a part of the grid."""
    group = parser.getgroup("vitbench", "what to compare")
    group.addoption("--variants", type=names, default=("B/16",), help="default: B/16")
    group.addoption("--factors", type=names, default=USUAL_FACTORS, help=_FACTORS)
    group.addoption("--devices", type=names, default=("cpu",), help="cpu,cuda; default: cpu")
    group.addoption("--modes", type=names, help="default: forward; on cuda forward,train")
    group.addoption("--batch-sizes", type=_numbers, help="default: each module's own")
    group.addoption(
        "--image-size", type=int, default=USUAL_PIXELS, help=f"in pixels; default: {USUAL_PIXELS}"
    )
    group.addoption("--component", choices=COMPONENT_CHOICES, default="auto", help="default: auto")
    group.addoption("--cache", choices=CACHES, default="cold", help="default: cold")
    group.addoption("--seconds", type=float, default=1.0, help="for each comparison; default: 1")
    group.addoption(
        "--no-lock", action="store_true", help="measure beside other runs on the device"
    )
    group.addoption("--pass-plan", type=Path, help="task file of a pass; written by vitbench run")


def pytest_configure(config: pytest.Config) -> None:
    """Read the task of a pass, if one is given; check the options."""
    path = config.getoption("--pass-plan")
    try:
        config.stash[TASK] = task = _pass_task(path) if path else None
        _selection(config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[INTERRUPT] = interrupt = Event()
    if task:
        config.stash[TIME_BUDGET] = TimeBudget.of(task)
        config.stash[PATIENCE] = patience_for(task, interrupt.is_set)
        finish_on_interrupt(interrupt)


def _pass_task(path: Path) -> Task[PassJob]:
    """Read the task of a pass. Raises InputError for another task."""
    task = read_task(path)
    if task.kind != "pass":
        raise InputError(f"{path} is the task of a {task.kind}; expected that of a pass")
    return task


def pytest_collection_finish(session: pytest.Session) -> None:
    """Lock the devices; the command that started a pass holds the locks already."""
    option = session.config.option
    if option.pass_plan:
        forget_imports()
    if option.pass_plan or option.no_lock or option.collectonly or option.benchmark_disable:
        return
    locks = ExitStack()
    session.config.add_cleanup(locks.close)
    measured = [comparison for item in session.items if (comparison := _comparison(item))]
    devices = sorted({comparison.workload.device for comparison in measured})
    try:
        locks.enter_context(device_locks(devices, "pytest bench"))
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


def _selection(config: pytest.Config) -> Selection:
    """Return the selection of the options. Raises InputError for an unusable one."""
    chosen = {field.name: config.getoption(field.name) for field in fields(Selection)}
    check_devices(chosen["devices"], found_devices())
    return Selection(**chosen)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one benchmark of each comparison of the module: of its grid, or given by a task."""
    if "comparison" not in metafunc.fixturenames:
        return
    grid, task = grid_of(metafunc.module), metafunc.config.stash[TASK]
    chosen: list[Comparison] = []
    if task:
        factors = [grid.factor] if grid else [OWN_FACTOR, CHOICE]
        chosen = [job.comparison for job in task.jobs if job.comparison.factor in factors]
    elif grid:
        chosen = list(expand(grid, _selection(metafunc.config)))
    clocks = {device: clock_for(device) for device in {c.workload.device for c in chosen}}
    metafunc.parametrize("comparison", [_case(c, clocks[c.workload.device]) for c in chosen])


def _case(comparison: Comparison, clock: Any) -> Any:
    group = f"{comparison.factor} {comparison.workload} (against {comparison.baseline_name})"
    mark = pytest.mark.benchmark(timer=clock, group=group, disable_gc=False)
    return pytest.param(comparison, id=f"{comparison.workload}-{comparison.arm_name}", marks=mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop modules of other factors; run a pass in the order of its task."""
    items[:] = [item for item in items if isinstance(_comparison(item), Comparison | None)]
    if task := config.stash[TASK]:
        order = {job.key: place for place, job in enumerate(task.jobs)}
        items.sort(key=lambda item: order[_comparison(item).key])


def _comparison(item: pytest.Item) -> Any:
    """Return a benchmark's comparison or None; pytest's own mark if the module's grid is empty."""
    call = getattr(item, "callspec", None)
    return call.params.get("comparison") if call else None


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Add the commit of the measured tree if pytest-benchmark found none."""
    commit_info.setdefault("id", git("rev-parse", "HEAD"))


@pytest.fixture(name="measure")
def _measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    """Return the function that measures one comparison and stores its sample."""
    stash = request.config.stash
    task = stash[TASK]

    def run(comparison: Comparison) -> None:
        if stash[INTERRUPT].is_set():
            request.session.shouldstop = "interrupted"
            return
        sample = _sample(comparison, benchmark, request, task)
        benchmark.extra_info["vitbench"] = asdict(sample)
        if stash[INTERRUPT].is_set():
            request.session.shouldstop = "interrupted"
            if sample.status == "ok" and not sample.arm_s:
                return
        if task:
            keep(task, _job(task, comparison), sample)
        if sample.status == "skipped":
            pytest.skip(str(sample.error))
        if sample.status != "ok":
            pytest.fail(f"{sample.status}: {sample.error}", pytrace=False)

    return run


def _sample(
    comparison: Comparison,
    benchmark: Benchmark,
    request: pytest.FixtureRequest,
    task: Task[PassJob] | None,
) -> Sample:
    """Measure one comparison, as a job of a pass or by the options."""
    if task is None:
        seconds = request.config.getoption("--seconds")
        return measure(_session(comparison, benchmark, request, lambda ready_s: seconds - ready_s))
    job = _job(task, comparison)
    announce(task, job)
    try:
        measuring_s = request.config.stash[TIME_BUDGET].measuring(job.key)
    except BudgetSpentError as error:
        return job.failed("skipped", str(error))
    session = replace(
        _session(comparison, benchmark, request, measuring_s),
        check=job.check,
        most_rounds=MAX_ROUNDS if job.measure_s is None else MAX_OWN_ROUNDS,
        compiled=task.compiled,
        yardstick=partial(yardstick_s, job.device),
        await_calm=lambda: request.config.stash[PATIENCE].await_calm(job.device).waited_s,
        build=partial(build_arms, arm_first=is_arm_first(job.key, job.pass_index)),
    )
    return replace(measure(session), pass_index=job.pass_index)


def _job(task: Task[PassJob], comparison: Comparison) -> PassJob:
    return next(job for job in task.jobs if job.key == comparison.key)


def _session(
    comparison: Comparison,
    benchmark: Benchmark,
    request: pytest.FixtureRequest,
    measuring_s: Callable[[float], float],
) -> Session:
    """Return the session of one comparison with the settings of ``pytest bench``."""
    mark = request.node.get_closest_marker("benchmark")
    return Session(
        comparison=comparison,
        benchmark=benchmark,
        clock=mark.kwargs["timer"],
        watch=watch_for(comparison.workload.device),
        measuring_s=measuring_s,
        check=True,
        most_rounds=MAX_ROUNDS,
        stop=request.config.stash[INTERRUPT].is_set,
        failed=traceback.print_exception,
        build=partial(build_arms, arm_first=is_arm_first(comparison.key, 0)),
    )
