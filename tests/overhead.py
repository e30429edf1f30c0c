"""Overhead of the suite itself: ``nox -s overhead``.

The first benchmark prints the microseconds of a round beyond its timed calls; the table has the
time of the commands to their first output.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import append_event, read_events
from bench.files.run_folder import create_run_folder
from bench.machine.load import watch_for
from bench.records.arm_costs import Case
from bench.records.comparison import CHOICE, Comparison
from bench.runs.state import load
from bench.timing.clocks import WallClock
from bench.timing.rounds import PairedRounds, without_collector

ROUNDS = 5000
RUNS = sorted(path.parent for path in Path("results").glob("**/journal.jsonl"))
COPIES = 7
# Fields that the journal adds to every line.
_WRITTEN = ("schema", "kind", "time_s", "crc")


def _nothing() -> None:
    """Do nothing, so that only the harness takes time."""


def bench_round(benchmark: Any) -> None:
    """Time pairs of empty calls."""
    pairs = PairedRounds(
        baseline=_nothing,
        clock=WallClock(),
        refresh=_nothing,
        watch=watch_for("cpu"),
        stop=lambda: False,
    )
    with without_collector():
        start_s = time.perf_counter()
        benchmark.pedantic(_nothing, setup=pairs.setup, teardown=pairs.teardown, rounds=ROUNDS)
        spent_s = time.perf_counter() - start_s
    timed_s = sum(pairs.baseline_s) + sum(benchmark.stats.stats.data)
    sys.stdout.write(f"\nharness: {1e6 * (spent_s - timed_s) / ROUNDS:.1f} µs a round\n")


def _first_output(*arguments: str) -> None:
    command = [sys.executable, "-m", "bench", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.read(1)
        process.kill()


@pytest.mark.parametrize("command", ["--help", "run --help", "report RUN --markdown"])
def bench_start(benchmark: Any, command: str) -> None:
    """Time a command to its first byte of output."""
    if "RUN" in command and not RUNS:
        pytest.skip("no run below ./results to report")
    arguments = [str(RUNS[0]) if word == "RUN" else word for word in command.split()]
    benchmark.pedantic(_first_output, args=arguments, rounds=5, warmup_rounds=1)


def bench_page(benchmark: Any, tmp_path: Path) -> None:
    """Time the page of a run of hundreds of rows, from its journal to the file."""
    if not RUNS:
        pytest.skip("no run below ./results to multiply")
    rows = multiplied(RUNS[0], tmp_path / "run", COPIES)
    command = [sys.executable, "-m", "bench", "report", str(tmp_path / "run"), "--page"]
    benchmark.extra_info["rows"] = rows
    benchmark.pedantic(subprocess.check_output, args=[command], rounds=5, warmup_rounds=1)
    sys.stdout.write(f"\npage of {rows} rows: {benchmark.stats.stats.median:.2f} s\n")


def multiplied(run: Path, folder: Path, copies: int) -> int:
    """Make a run with every row of another one ``copies`` times, each at a larger image size.

    Returns the number of rows.
    """
    state, events = load(run), read_events(run / "journal.jsonl")[0]
    found = {
        each: [_enlarged(each, copy) for copy in range(copies)] for each in state.plan.comparisons
    }
    comparisons = tuple(copy for each in found.values() for copy in each)
    many = replace(state.first_plan, run_id=folder.name, comparisons=comparisons)
    create_run_folder(folder, many, state.environment)
    names: dict[str, dict[str, None]] = {}
    for each, all_copies in found.items():
        for copy in all_copies:
            for old, new in zip(_keys(each), _keys(copy), strict=True):
                names.setdefault(old, {})[new] = None
    for event in events:
        content = {name: value for name, value in event.items() if name not in _WRITTEN}
        for key in names.get(content.get("key", ""), ()) if event["kind"] != CHOICE else ():
            append_event(folder / "journal.jsonl", event["kind"], **{**content, "key": key})
    return len(comparisons)


def _enlarged(comparison: Comparison, copy: int) -> Comparison:
    work = comparison.workload
    size = (work.image_size or 0) + copy * (work.patch_size or 0)
    return replace(comparison, workload=replace(work, image_size=size))


def _keys(comparison: Comparison) -> Iterator[str]:
    """Yield the journal keys of a comparison and of the case of each of its arms."""
    yield comparison.key
    for arm in (comparison.arm, comparison.baseline):
        yield Case(workload=comparison.workload, arm=arm).key
