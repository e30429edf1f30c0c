"""Run worker processes for the jobs of a task: start, watch, time out, kill."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from bench.files.journal import Event, JournalReader, append_event, append_outcome, append_sample
from bench.files.run_folder import write_json
from bench.machine.git import without_repository
from bench.records.errors import RunError
from bench.records.task import LOST, UNWRITABLE, J, PassJob, Task

_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
_POLL_S = 0.5
# Maximum seconds to load Python, torch and pytest, on a busy machine; not part of a job.
_START_S = 120.0
_ROOT = Path(__file__).parents[2]
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Death:
    """Status and one-line cause of a job whose process ended."""

    status: str
    cause: str


def oom_kills(counters: tuple[Path, ...] = _COUNTERS) -> int:
    """Return the number of out-of-memory kills by the kernel, on the machine and in the cgroup."""
    total = 0
    for path in counters:
        try:
            text = path.read_text(encoding="ascii")
        except OSError:
            continue
        total += sum(int(count) for count in re.findall(r"^oom_kill (\d+)$", text, re.MULTILINE))
    return total


def death(returncode: int, *, out_of_memory: bool, log: Path | None = None) -> Death:
    """Interpret a process's exit code; ``out_of_memory``: the kernel killed some process."""
    where = f"; see passes/{log.name}" if log else ""
    if returncode == -signal.SIGKILL and out_of_memory:
        return Death("oom", f"the kernel killed the process: out of memory{where}")
    if returncode == LOST:
        return Death("crashed", f"an arm made the GPU unusable{where}")
    if returncode < 0:
        return Death("crashed", f"the process was ended by {_name(-returncode)}{where}")
    return Death("crashed", f"the process ended with code {returncode}{where}")


def _name(number: int) -> str:
    """Return the name of a signal; real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run_to_completion(task: Task[J], reader: JournalReader, watch: OnEvent) -> None:
    """Run all jobs of a task; call ``watch`` with each event within half a second.

    A process that dies, or exceeds the task's limit in one job, loses only that job: another
    process does the rest. The comparisons of a group are then measured apart, so that only the one
    at fault is lost. When interrupted, the round under way is finished and written before
    KeyboardInterrupt propagates; a second interrupt ends at once. Raises RunError if a process ends
    before it starts a job, OSError if the journal cannot be written.
    """
    attempt, name = 0, task.name
    while task.jobs:
        done: set[str] = set()
        running: list[str] = []
        measured: set[str] = set()
        note = partial(_note, task=task, running=running, done=done, measured=measured, watch=watch)
        _append_process(task)
        ended = _run_process(task, reader, note)
        _forward_events(reader, note)
        if not running and not done:
            raise RunError(f"{name} measured nothing: {ended.cause}{_last_line(task)}")
        left: list[J] = []
        for job in task.jobs:
            if job.key not in done:
                is_running = job.key in running
                left += _after_death(task, job, measured, ended) if is_running else [job]
        _forward_events(reader, note)
        attempt += 1
        task = replace(task, jobs=tuple(left), name=f"{name}-again-{attempt}")


def _append_process(task: Task[Any]) -> None:
    """Append the start of a process, with its pass or the kind of its task."""
    first = task.jobs[0]
    place = {"pass_index": first.pass_index} if isinstance(first, PassJob) else {task.kind: True}
    append_event(task.journal, "process", **place)


def _note(
    event: Event,
    *,
    task: Task[Any],
    running: list[str],
    done: set[str],
    measured: set[str],
    watch: OnEvent,
) -> None:
    """Update the keys of the running job, of finished jobs and of samples; forward the event."""
    job = task.jobs[0]
    if event["kind"] == "sample":
        measured.add(event["key"])
    if event["kind"] == job.start:
        running[:] = [event["key"]]
    if event["kind"] == job.done:
        done.add(event["key"])
        running.clear()
    watch(event)


def module_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package, not one of the working directory."""
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
        f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", code, *arguments]


def _forward_events(reader: JournalReader, watch: OnEvent) -> None:
    """Call ``watch`` with the events since the last call."""
    for event in reader.new_events():
        watch(event)


def _run_process(task: Task[Any], reader: JournalReader, watch: OnEvent) -> Death:
    """Run one process to its end; return its status and cause."""
    log_file, plan_file = (task.stem.with_suffix(each) for each in (".log", ".plan.json"))
    write_json(plan_file, task)
    kills_before = oom_kills()
    with log_file.open("a", encoding="utf-8") as log:
        # In a session of its own: this process forwards an interrupt from the terminal.
        process = subprocess.Popen(
            module_command("bench.worker", str(plan_file)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            cwd=task.directory,
        )
        try:
            late = _follow(process, reader, watch, task)
        except KeyboardInterrupt:
            watch({"kind": "interrupt", "limit_s": task.limit_s})
            _finish_pair(process, task.limit_s)
            raise
        finally:
            _kill(process)
    if process.returncode == UNWRITABLE:
        _raise_unwritable(task)
    if late:
        cause = f"no result within {task.limit_s:g} s; the process was killed; raise --case-timeout"
        return Death("timeout", cause)
    log_kept = None if task.is_temporary else log_file
    return death(process.returncode, out_of_memory=oom_kills() > kills_before, log=log_kept)


def _raise_unwritable(task: Task[Any]) -> NoReturn:
    """Raise the OSError of the process, also if a shorter line can be written again."""
    _append_process(task)
    raise OSError(errno.ENOSPC, "no room for what was measured", str(task.journal))


def _environment() -> dict[str, str]:
    """Return the environment without variables of a user's pytest and of a git hook.

    Plugins such as pytest-xdist disable the benchmarks or run them in parallel, also where a test
    that one of its workers runs starts vitbench; pytest-benchmark asks git for the commit.
    """
    given = without_repository().items()
    kept = {name: value for name, value in given if not name.startswith("PYTEST_")}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _follow(
    process: subprocess.Popen[bytes], reader: JournalReader, watch: OnEvent, task: Task[Any]
) -> bool:
    """Forward events until the process ends; return whether it hung."""
    starting_s = max(task.limit_s, _START_S)
    since_s, running, allowed_s = time.monotonic(), True, starting_s
    while running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL_S)
            running = False
        for event in reader.new_events():
            watch(event)
            since_s = time.monotonic()
            is_between = event["kind"] in ("process", task.jobs[0].done)
            allowed_s = starting_s if is_between else task.limit_s
        if running and time.monotonic() - since_s > allowed_s:
            return True
    return False


def _finish_pair(process: subprocess.Popen[bytes], limit_s: float) -> None:
    """Let the process finish and write the current pair."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=limit_s)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, such as the compiler's workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _after_death(task: Task[Any], job: Any, measured: set[str], ended: Death) -> list[Any]:
    """Return the parts of a job whose process died; one that has none gets its outcome."""
    is_quoted = task.is_temporary and ended.status != "timeout"
    cause = ended.cause + (_last_line(task) if is_quoted else "")
    if isinstance(job, PassJob):
        if parts := job.parts(measured):
            return list(parts)
        for sample in job.samples(ended.status, cause, died=True):
            if sample.key not in measured:
                append_sample(task.journal, sample)
    append_outcome(task.journal, job, job.failed(ended.status, cause), died=True)
    return []


def _last_line(task: Task[Any]) -> str:
    """Return the last line of the process's output, in brackets."""
    text = task.stem.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
    lines = text.strip().splitlines()
    return f" ({lines[-1]})" if lines else ""
