"""Fresh processes that work through a list, one after another, and what they say meanwhile."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol, Self

from bench.files.journal import Event, JournalReader
from bench.machine.git import without_repository
from bench.records.errors import RunError
from bench.records.task import LOST, UNWRITABLE

_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


@dataclass(frozen=True)
class Death:
    """The status and the one line of cause of a comparison whose process ended."""

    status: str
    cause: str


def oom_kills(counters: tuple[Path, ...] = _COUNTERS) -> int:
    """How many processes the kernel has killed for want of memory, here and in this container."""
    total = 0
    for path in counters:
        try:
            text = path.read_text(encoding="ascii")
        except OSError:
            continue
        total += sum(int(count) for count in re.findall(r"^oom_kill (\d+)$", text, re.MULTILINE))
    return total


def death(returncode: int, *, out_of_memory: bool, log: Path | None = None) -> Death:
    """What a process's exit code says; ``out_of_memory``: the kernel's killer was at work."""
    where = f"; see passes/{log.name}" if log else ""
    if returncode == -signal.SIGKILL and out_of_memory:
        return Death("oom", f"the kernel killed the process for want of memory{where}")
    if returncode == LOST:
        return Death("crashed", f"an arm made the GPU unusable{where}")
    if returncode < 0:
        return Death("crashed", f"the process was ended by {_name(-returncode)}{where}")
    return Death("crashed", f"the process ended with code {returncode}{where}")


def _name(number: int) -> str:
    """A signal's name; those for real time have none of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_POLL_S = 0.5
# Loading Python, torch and pytest is no case's time; on a busy machine it may take so long.
_START_S = 120.0
_ROOT = Path(__file__).parents[2]

Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Kinds:
    """What a process writes to the journal of each case: that it begins, and what came of it."""

    start: str
    done: str


class Task(Protocol):
    """What processes are to do: cases by key, each written to the journal as soon as it is done."""

    @property
    def kinds(self) -> Kinds:
        """How the journal calls what they write."""

    @property
    def journal(self) -> Path:
        """Where they write."""

    @property
    def directory(self) -> Path | None:
        """Where they run; None for here."""

    @property
    def keys(self) -> Collection[str]:
        """What is left to do."""

    def name(self, attempt: int) -> str:
        """What the files of a process are called; it is the ``attempt``-th, from 0."""

    def without(self, done: Collection[str]) -> Self:
        """The same without what is done."""

    def command(self, stem: Path) -> list[str]:
        """Write what the process is told beside ``stem``, and give its command line."""

    def begun(self) -> None:
        """Write to the journal that a process starts."""

    def lost(self, key: str, ended: Death) -> None:
        """Write what became of the case that was under way when its process ended."""


def work_off(task: Task, reader: JournalReader, watch: Watch, limit_s: float) -> None:
    """Have everything done; ``watch`` sees each event within half a second.

    A process that dies, or that takes longer than ``limit_s`` over one case, takes only the case
    under way with it: the rest goes on in another. When interrupted, the pair under way is finished
    and written before KeyboardInterrupt goes on; a second interrupt ends at once. Raises RunError
    where a process ends without having done anything, OSError where the journal cannot be written.
    """
    attempt = 0
    while task.keys:
        seen: list[Event] = []
        note = partial(_note, seen=seen, kinds=task.kinds, watch=watch)
        task.begun()
        stem = task.journal.parent / "passes" / task.name(attempt)
        ended = _run_process(task, stem, reader, note, limit_s)
        _hand_on(reader, note)
        _bury(task, seen, ended, stem.with_suffix(".log"))
        _hand_on(reader, note)
        task = task.without({event["key"] for event in seen if event["kind"] == task.kinds.done})
        attempt += 1


def _note(event: Event, *, seen: list[Event], kinds: Kinds, watch: Watch) -> None:
    if event["kind"] in (kinds.start, kinds.done):
        seen.append(event)
    watch(event)


def module_command(name: str, *arguments: str) -> list[str]:
    """A command that runs a module of this package, whatever the working directory holds."""
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
        f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", code, *arguments]


def _hand_on(reader: JournalReader, watch: Watch) -> None:
    """Show what was written since the last call."""
    for event in reader.new_events():
        watch(event)


def _run_process(
    task: Task, stem: Path, reader: JournalReader, watch: Watch, limit_s: float
) -> Death:
    """Run one process to its end; how it ended."""
    log_file = stem.with_suffix(".log")
    command, kills_before = task.command(stem), oom_kills()
    with log_file.open("a", encoding="utf-8") as log:
        # In a session of its own: an interrupt at the terminal is this process's to pass on.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            cwd=task.directory,
        )
        try:
            late = _follow(process, reader, watch, (task.kinds.start, limit_s))
        except KeyboardInterrupt:
            watch({"kind": "interrupt", "limit_s": limit_s})
            _finish_pair(process, limit_s)
            raise
        finally:
            _kill(process)
    if process.returncode == UNWRITABLE:
        _raise_unwritable(task)
    if late:
        cause = f"no result within {limit_s:g} s, so it was ended; --case-timeout gives more"
        return Death("timeout", cause)
    return death(process.returncode, out_of_memory=oom_kills() > kills_before, log=log_file)


def _raise_unwritable(task: Task) -> NoReturn:
    """Raise the OSError that the process met; this one meets the same, if not by less to write."""
    task.begun()
    raise OSError(errno.ENOSPC, "no room for what was measured", str(task.journal))


def _environment() -> dict[str, str]:
    """This process's environment without the user's own pytest habits and git hook.

    A plugin such as pytest-xdist would disable the benchmarks or run them side by side;
    pytest-benchmark asks git for the commit.
    """
    kept = {name: value for name, value in without_repository().items() if name != "PYTEST_ADDOPTS"}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _follow(
    process: subprocess.Popen[bytes],
    reader: JournalReader,
    watch: Watch,
    limit: tuple[str, float],
) -> bool:
    """Hand on events until the process ends; whether it had to be given up as hung.

    ``limit`` is the kind of event with which a case begins, and the seconds that it may take.
    """
    kind, limit_s = limit
    since_s, running, allowed_s = time.monotonic(), True, max(limit_s, _START_S)
    while running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL_S)
            running = False
        for event in reader.new_events():
            watch(event)
            since_s = time.monotonic()
            allowed_s = limit_s if event["kind"] == kind else max(limit_s, _START_S)
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


def _bury(task: Task, seen: list[Event], ended: Death, log: Path) -> None:
    """Write what became of the case that was under way when its process ended."""
    if not seen:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" ({lines[-1]})" if lines else ""
        raise RunError(f"{task.name(0)} measured nothing: {ended.cause}{last}")
    if seen[-1]["kind"] == task.kinds.start:
        task.lost(seen[-1]["key"], ended)
