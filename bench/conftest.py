"""Wires the benchmark modules into pytest and pytest-benchmark: options, grid, fixture."""

import argparse
import traceback
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import click
import pytest
import torch

from bench.arms.building import is_arm_first
from bench.arms.pairs import build_pair
from bench.cli.options import names, numbers
from bench.files.lock import device_locks
from bench.files.run_folder import read_pass_plan
from bench.machine.environment import git
from bench.machine.load import watch_for
from bench.records.comparison import CACHES, FACTORS, USUAL_FACTORS, Comparison, Sample
from bench.records.errors import InputError
from bench.records.task import PassPlan
from bench.suite.availability import check_devices
from bench.suite.grid import COMPONENTS, Measure, Selection, expand
from bench.timing.clocks import clock_for
from bench.timing.device import forget_imports, found_devices
from bench.timing.pairs import MAX_OWN_ROUNDS, MAX_ROUNDS, Benchmark
from bench.timing.yardstick import yardstick_s
from bench.worker.budget import Allotment, BudgetSpentError
from bench.worker.process import announce, finish_on_interrupt, keep
from bench.worker.session import Job, measure

PLAN = pytest.StashKey[PassPlan | None]()
ALLOTMENT = pytest.StashKey[Allotment]()
# Set when the pair under way is to be the last.
INTERRUPT = pytest.StashKey[Event]()
_FACTORS = f"of {','.join(FACTORS)}; default: {','.join(USUAL_FACTORS)}"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return numbers(text)
    except click.BadParameter as error:
        raise argparse.ArgumentTypeError(error.message) from error


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that choose a part of the grid, for ``pytest bench`` by itself."""
    group = parser.getgroup("vitbench", "what to compare")
    group.addoption("--variants", type=names, default=("B/16",), help="default: B/16")
    group.addoption("--factors", type=names, default=USUAL_FACTORS, help=_FACTORS)
    group.addoption("--devices", type=names, default=("cpu",), help="cpu,cuda; default: cpu")
    group.addoption("--modes", type=names, help="default: forward; on cuda forward,train")
    group.addoption("--batch-sizes", type=_numbers, help="default: each module's own")
    group.addoption("--image-size", type=int, default=224, help="in pixels; default: 224")
    group.addoption("--component", choices=COMPONENTS, default="auto", help="default: auto")
    group.addoption("--cache", choices=CACHES, default="cold", help="default: cold")
    group.addoption("--seconds", type=float, default=1.0, help="for each comparison; default: 1")
    group.addoption("--no-lock", action="store_true", help="measure even while others measure here")
    group.addoption("--pass-plan", type=Path, help="written by `python -m bench run`")


def pytest_configure(config: pytest.Config) -> None:
    """Read the plan of a pass, where this is one; else check what was asked for."""
    path = config.getoption("--pass-plan")
    try:
        config.stash[PLAN] = plan = read_pass_plan(path) if path else None
        _selection(config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[INTERRUPT] = interrupt = Event()
    if plan:
        torch.set_num_threads(plan.threads)
        config.stash[ALLOTMENT] = Allotment.of(plan)
        finish_on_interrupt(interrupt)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Measure alone on the devices; whoever started a pass has seen to that already."""
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
    """The part of the grid that the options choose. Raises InputError where it cannot be."""
    chosen = {field.name: config.getoption(field.name) for field in fields(Selection)}
    check_devices(chosen["devices"], found_devices())
    return Selection(**chosen)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one benchmark of each comparison of the module's grid."""
    if "comparison" not in metafunc.fixturenames:
        return
    grid, plan = metafunc.module.GRID, metafunc.config.stash[PLAN]
    if plan:
        chosen = [c for c in plan.comparisons if c.factor == grid.factor]
    else:
        chosen = list(expand(grid, _selection(metafunc.config)))
    clocks = {device: clock_for(device) for device in {c.workload.device for c in chosen}}
    metafunc.parametrize("comparison", [_case(c, clocks[c.workload.device]) for c in chosen])


def _case(comparison: Comparison, clock: Any) -> Any:
    group = f"{comparison.factor} {comparison.workload} (against {comparison.baseline_name})"
    mark = pytest.mark.benchmark(timer=clock, group=group, disable_gc=False)
    return pytest.param(comparison, id=f"{comparison.workload}-{comparison.arm_name}", marks=mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the modules whose factor was not asked for; run a pass in the order of its plan."""
    items[:] = [item for item in items if isinstance(_comparison(item), Comparison | None)]
    if plan := config.stash[PLAN]:
        order = {comparison.key: place for place, comparison in enumerate(plan.comparisons)}
        items.sort(key=lambda item: order[_comparison(item).key])


def _comparison(item: pytest.Item) -> Any:
    """A benchmark's comparison, or None; pytest's own mark where its module's grid is empty."""
    call = getattr(item, "callspec", None)
    return call.params.get("comparison") if call else None


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Say the commit of the tree under measurement where pytest-benchmark found none."""
    commit_info.setdefault("id", git("rev-parse", "HEAD"))


@pytest.fixture(name="measure")
def _measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    """A function that measures one comparison and keeps the sample."""
    plan = request.config.stash[PLAN]

    def run(comparison: Comparison) -> None:
        if request.config.stash[INTERRUPT].is_set():
            request.session.shouldstop = "interrupted"
            return
        sample = _sample(comparison, benchmark, request, plan)
        benchmark.extra_info["vitbench"] = asdict(sample)
        if request.config.stash[INTERRUPT].is_set():
            request.session.shouldstop = "interrupted"
            if sample.status == "ok" and not sample.arm_s:
                return
        if plan:
            keep(plan, sample, comparison.workload.device)
        if sample.status == "skipped":
            pytest.skip(str(sample.error))
        if sample.status != "ok":
            pytest.fail(f"{sample.status}: {sample.error}", pytrace=False)

    return run


def _sample(
    comparison: Comparison,
    benchmark: Benchmark,
    request: pytest.FixtureRequest,
    plan: PassPlan | None,
) -> Sample:
    stash, seconds = request.config.stash, request.config.getoption("--seconds")
    index, measuring_s = 0, lambda prepare_s: seconds - prepare_s
    if plan:
        index = plan.pass_index
        announce(plan, comparison.key)
        try:
            measuring_s = stash[ALLOTMENT].measuring(comparison.key)
        except BudgetSpentError as error:
            return Sample(key=comparison.key, pass_index=index, status="skipped", error=str(error))
    mark = request.node.get_closest_marker("benchmark")
    device = comparison.workload.device
    job = Job(
        comparison=comparison,
        benchmark=benchmark,
        clock=mark.kwargs["timer"],
        watch=watch_for(device),
        measuring_s=measuring_s,
        check=not plan or comparison.key not in plan.checked,
        most_rounds=MAX_OWN_ROUNDS if plan and plan.each_s else MAX_ROUNDS,
        stop=stash[INTERRUPT].is_set,
        failed=traceback.print_exception,
        compiled=plan.compiled if plan else None,
        **({"yardstick": partial(yardstick_s, device)} if plan else {}),
        build=partial(build_pair, arm_first=is_arm_first(comparison.key, index)),
    )
    return replace(measure(job), pass_index=index)
