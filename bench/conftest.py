"""Connect the benchmark modules to pytest and pytest-benchmark: options, grid, fixture."""

import argparse
import traceback
from contextlib import ExitStack
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import click
import pytest

from bench.arms.build_and_check import build_arms
from bench.arms.building import is_arm_first
from bench.cli.options import names, numbers
from bench.files.lock import device_locks
from bench.machine.environment import git
from bench.machine.load import watch_for
from bench.records.comparison import ALONE_CACHES, FACTORS, USUAL_FACTORS, USUAL_PIXELS, Comparison
from bench.records.errors import InputError
from bench.suite.availability import check_devices
from bench.suite.grid import COMPONENT_CHOICES, Measure, Selection, expand, grid_of
from bench.timing.clocks import clock_for
from bench.timing.device import found_devices
from bench.timing.rounds import Benchmark
from bench.worker.session import Session, measure

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
    group.addoption("--cache", choices=ALONE_CACHES, default="cold", help="default: cold")
    group.addoption("--seconds", type=float, default=1.0, help="for each comparison; default: 1")
    group.addoption(
        "--no-lock", action="store_true", help="measure beside other runs on the device"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options."""
    try:
        _selection(config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_finish(session: pytest.Session) -> None:
    """Lock the devices."""
    option = session.config.option
    if option.no_lock or option.collectonly or option.benchmark_disable:
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
    """Make one benchmark of each comparison of the module's grid."""
    if "comparison" not in metafunc.fixturenames:
        return
    grid = grid_of(metafunc.module)
    chosen = list(expand(grid, _selection(metafunc.config))) if grid else []
    clocks = {device: clock_for(device) for device in {c.workload.device for c in chosen}}
    metafunc.parametrize("comparison", [_case(c, clocks[c.workload.device]) for c in chosen])


def _case(comparison: Comparison, clock: Any) -> Any:
    group = f"{comparison.factor} {comparison.workload} (against {comparison.baseline_name})"
    mark = pytest.mark.benchmark(timer=clock, group=group, disable_gc=False)
    return pytest.param(comparison, id=f"{comparison.workload}-{comparison.arm_name}", marks=mark)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop modules of other factors."""
    items[:] = [item for item in items if isinstance(_comparison(item), Comparison | None)]


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

    def run(comparison: Comparison) -> None:
        sample = measure(_session(comparison, benchmark, request))
        benchmark.extra_info["vitbench"] = asdict(sample)
        if sample.status == "skipped":
            pytest.skip(str(sample.error))
        if sample.status != "ok":
            pytest.fail(f"{sample.status}: {sample.error}", pytrace=False)

    return run


def _session(
    comparison: Comparison, benchmark: Benchmark, request: pytest.FixtureRequest
) -> Session:
    """Return the session of one comparison with the settings of ``pytest bench``."""
    mark = request.node.get_closest_marker("benchmark")
    seconds = request.config.getoption("--seconds")
    return Session(
        comparison=comparison,
        benchmark=benchmark,
        clock=mark.kwargs["timer"],
        watch=watch_for(comparison.workload.device),
        measuring_s=lambda ready_s: seconds - ready_s,
        check=True,
        failed=traceback.print_exception,
        build=partial(build_arms, arm_first=is_arm_first(comparison.key, 0)),
    )
