"""One pass: fresh processes that measure every comparison once, and what they say meanwhile."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench
from bench.journal import JournalReader, append_sample
from bench.record import Environment, InputError, RunError, Sample
from bench.store import PassPlan, environment_from, write_json

_POLL_S = 0.5

Event = dict[str, Any]
Watch = Callable[[Event], None]


def probe() -> Environment:
    """Look at the machine in a process of its own. Raises InputError where torch will not load."""
    command = [sys.executable, "-m", "bench.measure.environment"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"torch cannot be loaded here ({lines[-1]}); reinstall vitbench")
    return environment_from(json.loads(done.stdout))


def run_pass(plan: PassPlan, reader: JournalReader, watch: Watch) -> None:
    """Measure every comparison of a pass; ``watch`` sees each event within half a second.

    A process that dies takes only the comparison under way with it: the rest goes on in another.
    Raises RunError where a process ends without having measured anything.
    """
    left, attempt = plan.comparisons, 0
    while left:
        seen: list[Event] = []

        def note(event: Event, seen: list[Event] = seen) -> None:
            seen.append(event)
            watch(event)

        stem = plan.journal.parent / "passes" / _name(plan.pass_index, attempt)
        returncode = _run_process(replace(plan, comparisons=left), stem, reader, note)
        _bury(plan, seen, returncode, stem.with_suffix(".log"))
        for event in reader.new_events():
            note(event)
        done = {event["key"] for event in seen if event["kind"] == "sample"}
        left = tuple(comparison for comparison in left if comparison.key not in done)
        attempt += 1


def _name(pass_index: int, attempt: int) -> str:
    return f"pass-{pass_index + 1}" + (f"-again-{attempt}" if attempt else "")


def _run_process(plan: PassPlan, stem: Path, reader: JournalReader, watch: Watch) -> int:
    plan_file = stem.with_suffix(".plan.json")
    write_json(plan_file, plan)
    package = Path(bench.__path__[0])
    command = [
        *(sys.executable, "-m", "pytest", str(package), "-c", str(package / "pytest.ini")),
        *("-p", "pytest_benchmark.plugin", "--benchmark-storage", f"file://{stem.parent}"),
        *("--pass-plan", str(plan_file), "--benchmark-json", str(stem.with_suffix(".json"))),
    ]
    with stem.with_suffix(".log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        try:
            _follow(process, reader, watch)
        finally:
            process.terminate()
            process.wait()
    return process.returncode


def _environment() -> dict[str, str]:
    """This process's environment without the user's own pytest habits.

    A plugin such as pytest-xdist would disable the benchmarks or run them side by side.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _follow(process: subprocess.Popen[bytes], reader: JournalReader, watch: Watch) -> None:
    running = True
    while running:
        try:
            process.wait(timeout=_POLL_S)
            running = False
        except subprocess.TimeoutExpired:
            pass
        for event in reader.new_events():
            watch(event)


def _cause(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode == -signal.SIGKILL:
        return "was killed: out of memory?"
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with code {returncode}"


def _bury(plan: PassPlan, seen: list[Event], returncode: int, log: Path) -> None:
    """Write the sample of the comparison that was under way when its process ended."""
    if not seen:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RunError(f"pass ended with code {returncode} ({' '.join(lines[-1:])}); see {log}")
    if seen[-1]["kind"] == "start":
        error = f"the process {_cause(returncode)}; see {log.name}"
        sample = Sample(
            key=seen[-1]["key"], pass_index=plan.pass_index, status="crashed", error=error
        )
        append_sample(plan.journal, sample)
