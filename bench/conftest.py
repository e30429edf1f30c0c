"""Wires the benchmark modules into pytest and pytest-benchmark: options, grid, fixture."""

import argparse
import os
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from bench.cases import COMPONENTS, Measure, Selection, expand
from bench.journal import append_event, append_sample
from bench.measure.clocks import clock_for
from bench.measure.environment import git
from bench.measure.memory import is_lost
from bench.measure.pairs import Benchmark
from bench.options import names, numbers
from bench.record import CACHES, FACTORS, Comparison, InputError, Sample
from bench.session import Allotment, BudgetSpentError, Job, Need, measure
from bench.store import PassPlan, read_pass_plan

PLAN = pytest.StashKey[PassPlan | None]()
ALLOTMENT = pytest.StashKey[Allotment]()
# Exit code of a process whose GPU an arm has made unusable.
LOST = 86


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return numbers(text)
    except click.BadParameter as error:
        raise argparse.ArgumentTypeError(error.message) from error


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that choose a part of the grid, for ``pytest bench`` by itself."""
    group = parser.getgroup("vitbench", "what to compare")
    group.addoption("--variants", type=names, default=("B/16",), help="default: B/16")
    group.addoption("--factors", type=names, default=FACTORS, help="default: all")
    group.addoption("--devices", type=names, default=("cpu",), help="cpu,cuda; default: cpu")
    group.addoption("--modes", type=names, help="default: forward; on cuda forward,train")
    group.addoption("--batch-sizes", type=_numbers, help="default: each module's own")
    group.addoption("--image-size", type=int, default=224, help="in pixels; default: 224")
    group.addoption("--component", choices=COMPONENTS, default="auto", help="default: auto")
    group.addoption("--cache", choices=CACHES, default="cold", help="default: cold")
    group.addoption("--seconds", type=float, default=1.0, help="for each comparison; default: 1")
    group.addoption("--pass-plan", type=Path, help="written by `python -m bench run`")


def pytest_configure(config: pytest.Config) -> None:
    """Read the plan of a pass, where this is one; else check what was asked for."""
    path = config.getoption("--pass-plan")
    try:
        config.stash[PLAN] = plan = read_pass_plan(path) if path else None
        _selection(config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    if plan:
        needs = {comparison.key: Need.of(comparison) for comparison in plan.comparisons}
        config.stash[ALLOTMENT] = Allotment(plan.deadline_s, plan.end_s, needs)


def _selection(config: pytest.Config) -> Selection:
    """The part of the grid that the options choose. Raises InputError where it cannot be."""
    chosen = {field.name: config.getoption(field.name) for field in fields(Selection)}
    if "cuda" in chosen["devices"] and not torch.cuda.is_available():
        raise InputError("device 'cuda' asked for, but torch finds none here; found: cpu")
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
        sample = _sample(comparison, benchmark, request, plan)
        benchmark.extra_info["vitbench"] = asdict(sample)
        if plan:
            append_sample(plan.journal, sample)
            if sample.status == "crashed" and is_lost(comparison.workload.device):
                os._exit(LOST)  # What is left goes on in a fresh process.
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
    share_s, index, check = request.config.getoption("--seconds"), 0, True
    if plan:
        index, check = plan.pass_index, plan.check
        append_event(
            plan.journal, "start", key=comparison.key, pass_index=index, time_s=time.time()
        )
        try:
            share_s = request.config.stash[ALLOTMENT].take(comparison.key)
        except BudgetSpentError as error:
            return Sample(key=comparison.key, pass_index=index, status="skipped", error=str(error))
    mark = request.node.get_closest_marker("benchmark")
    job = Job(
        comparison=comparison,
        benchmark=benchmark,
        clock=mark.kwargs["timer"],
        share_s=share_s,
        check=check,
    )
    return replace(measure(job), pass_index=index)
