"""What the suite itself costs: ``nox -s overhead``.

The first benchmark prints the microseconds that a round takes beyond its timed calls; the table
shows how long the commands take to their first output.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.measure.clocks import WallClock
from bench.measure.load import watch_for
from bench.measure.pairs import PairedRounds, without_collector

ROUNDS = 5000
RUNS = sorted(Path("results").glob("**/journal.jsonl"))


def _nothing() -> None:
    """Take no time: what is left is the harness."""


def bench_round(benchmark: Any) -> None:
    """Time pairs of calls that do nothing."""
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
        assert process.stdout  # noqa: S101 (a pipe was asked for)
        process.stdout.read(1)
        process.kill()


@pytest.mark.parametrize("command", ["--help", "run --help", "report RUN --markdown"])
def bench_start(benchmark: Any, command: str) -> None:
    """Time a command to its first byte of output."""
    if "RUN" in command and not RUNS:
        pytest.skip("no run below ./results to report")
    arguments = [str(RUNS[0].parent) if word == "RUN" else word for word in command.split()]
    benchmark.pedantic(_first_output, args=arguments, rounds=5, warmup_rounds=1)
