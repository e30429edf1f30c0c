"""One pass: fresh processes that measure every comparison once, and what they say meanwhile."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from bench.journal import JournalReader, append_event, append_sample
from bench.machine import Environment
from bench.record import InputError, RunError, Sample
from bench.runner.deaths import Death, death, oom_kills
from bench.store import UNWRITABLE, PassPlan, record_from, write_json

_POLL_S = 0.5
# Loading Python, torch and pytest is no comparison's time; on a busy machine it may take so long.
_START_S = 120.0
_ROOT = Path(__file__).parents[2]

Event = dict[str, Any]
Watch = Callable[[Event], None]


def probe() -> Environment:
    """Look at the machine in a process of its own. Raises InputError where torch will not load."""
    command = module_command("bench.measure.environment")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"torch cannot be loaded here ({lines[-1]}); reinstall vitbench")
    return record_from(json.loads(done.stdout), Environment)


def run_pass(plan: PassPlan, reader: JournalReader, watch: Watch, limit_s: float) -> None:
    """Measure every comparison of a pass; ``watch`` sees each event within half a second.

    A process that dies, or that takes longer than ``limit_s`` over one comparison, takes only the
    comparison under way with it: the rest goes on in another. When interrupted, the pair under way
    is finished and written before KeyboardInterrupt goes on; a second interrupt ends at once.
    Raises RunError where a process ends without having measured anything, OSError where the journal
    cannot be written.
    """
    left, attempt = plan.comparisons, 0
    while left:
        seen: list[Event] = []

        def note(event: Event, seen: list[Event] = seen) -> None:
            if event["kind"] in ("start", "sample"):
                seen.append(event)
            watch(event)

        append_event(plan.journal, "process", pass_index=plan.pass_index)
        stem = plan.journal.parent / "passes" / _name(plan.pass_index, attempt)
        ended = _run_process(replace(plan, comparisons=left), stem, reader, note, limit_s)
        _hand_on(reader, note)
        _bury(plan, seen, ended, stem.with_suffix(".log"))
        _hand_on(reader, note)
        done = {event["key"] for event in seen if event["kind"] == "sample"}
        left = tuple(comparison for comparison in left if comparison.key not in done)
        attempt += 1


def _hand_on(reader: JournalReader, watch: Watch) -> list[Event]:
    """Show what was written since the last call."""
    events = reader.new_events()
    for event in events:
        watch(event)
    return events


def _name(pass_index: int, attempt: int) -> str:
    return f"pass-{pass_index + 1}" + (f"-again-{attempt}" if attempt else "")


def _run_process(
    plan: PassPlan, stem: Path, reader: JournalReader, watch: Watch, limit_s: float
) -> Death:
    """Run one process to its end; how it ended."""
    plan_file, log_file = stem.with_suffix(".plan.json"), stem.with_suffix(".log")
    write_json(plan_file, plan)
    kills_before = oom_kills()
    with log_file.open("a", encoding="utf-8") as log:
        # In a session of its own: an interrupt at the terminal is this process's to pass on.
        process = subprocess.Popen(
            _command(plan, plan_file, stem),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            cwd=plan.directory,
        )
        try:
            late = _follow(process, reader, watch, limit_s)
        except KeyboardInterrupt:
            watch({"kind": "interrupt", "limit_s": limit_s})
            _finish_pair(process, limit_s)
            raise
        finally:
            _kill(process)
    if process.returncode == UNWRITABLE:
        _raise_unwritable(plan)
    if late:
        cause = f"no result within {limit_s:g} s, so it was ended; --case-timeout gives more"
        return Death("timeout", cause)
    return death(process.returncode, out_of_memory=oom_kills() > kills_before, log=log_file)


def _raise_unwritable(plan: PassPlan) -> NoReturn:
    """Raise the OSError that the process met; this one meets the same, if not by less to write."""
    append_event(plan.journal, "process", pass_index=plan.pass_index)
    raise OSError(errno.ENOSPC, "no room for what was measured", str(plan.journal))


def _command(plan: PassPlan, plan_file: Path, stem: Path) -> list[str]:
    """Pytest in a process that ends with this one; what arms print goes to the log at once."""
    package = _ROOT / "bench"
    return [
        *module_command("bench.worker", str(plan.parent), "-s"),
        *(str(package), "-c", str(package / "pytest.ini"), "-p", "pytest_benchmark.plugin"),
        *("--pass-plan", str(plan_file), "--benchmark-storage", f"file://{stem.parent}"),
        *("--benchmark-json", str(stem.with_suffix(".json"))),
    ]


def module_command(name: str, *arguments: str) -> list[str]:
    """A command that runs a module of this package, whatever the working directory holds."""
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
        f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", code, *arguments]


def _environment() -> dict[str, str]:
    """This process's environment without the user's own pytest habits.

    A plugin such as pytest-xdist would disable the benchmarks or run them side by side.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _follow(
    process: subprocess.Popen[bytes], reader: JournalReader, watch: Watch, limit_s: float
) -> bool:
    """Hand on events until the process ends; whether it had to be given up as hung."""
    since_s, running, allowed_s = time.monotonic(), True, max(limit_s, _START_S)
    while running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL_S)
            running = False
        for event in _hand_on(reader, watch):
            since_s = time.monotonic()
            allowed_s = limit_s if event["kind"] == "start" else max(limit_s, _START_S)
        if running and time.monotonic() - since_s > allowed_s:
            return True
    return False


def _finish_pair(process: subprocess.Popen[bytes], limit_s: float) -> None:
    """Let the process end the pair under way and write it."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=limit_s)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started, such as the compiler's workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _bury(plan: PassPlan, seen: list[Event], ended: Death, log: Path) -> None:
    """Write the sample of the comparison that was under way when its process ended."""
    if not seen:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" ({lines[-1]})" if lines else ""
        raise RunError(f"pass measured nothing: {ended.cause}{last}")
    if seen[-1]["kind"] == "start":
        sample = Sample(
            key=seen[-1]["key"],
            pass_index=plan.pass_index,
            status=ended.status,
            error=ended.cause,
            died=True,
        )
        append_sample(plan.journal, sample)
