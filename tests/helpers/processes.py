"""Start, observe and end processes of the real program.

Processes of ``vitbench`` and ``started`` have a TMPDIR in their working directory. Their locks are
thus separate from other runs on this machine, and the variable identifies them.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The smallest measurable work: one small component.
SMALLEST = (
    *("--variants", "B/32", "--image-size", "32", "--batch-sizes", "1"),
    *("--modes", "forward", "--component", "block"),
)
# Two passes over a control and a candidate, which take turns with their slow baseline for minutes.
COMPARE = (
    *("compare", "arms.py:steady", "arms.py:steady", "--input", "2,8", "--cache", "warm"),
    *("--budget", "10m", "--passes", "2", "--no-survey", "--out", "run"),
)
# Background jobs of a shell and nohup, both used by some CI, ignore signals, and child processes
# inherit that.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
# Longer than any step on a busy machine; a test that waits this long has failed.
WAIT_S = 240.0
_POLL_S = 0.01


@dataclass(frozen=True)
class Ended:
    """The program's working directory, its result, and whether no process was left."""

    cwd: Path
    done: subprocess.CompletedProcess[str]
    none_left: bool

    def copied(self, to: Path) -> Path:
        """Copy the folder for a test to change, with the paths of its plan adjusted."""
        shutil.copytree(self.cwd, to, dirs_exist_ok=True)
        path = to / "run" / "plan.json"
        path.write_text(path.read_text().replace(str(self.cwd), str(to)))
        return to


def command(*arguments: str) -> list[str]:
    """Return a command line of the program."""
    return [sys.executable, "-m", "bench", *arguments]


def environment(cwd: Path) -> dict[str, str]:
    """Return this environment with temporary files, and thus locks, below a folder."""
    folder = cwd / "tmp"
    folder.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder)}


def vitbench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder to its end."""
    with started(*command(*arguments), cwd=cwd) as process:
        return ended(process)


def called(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Call the program in a folder inside this process, where the process is not the subject."""
    # Not for the other helpers, which start processes and import nothing of the program.
    from bench.__main__ import main

    words, out, err = ["vitbench", *arguments], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended_by:
            main()
    code = int(str(ended_by.value))
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextmanager
def started(*words: str, cwd: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a session of its own; kill all its processes at the end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    given: dict[str, Any] = {**pipes, "text": True, "env": environment(cwd), **options}
    with subprocess.Popen(words, cwd=cwd, **given) as process:
        try:
            yield process
        finally:
            for pid in running(cwd):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process's end and return its output."""
    try:
        out, err = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {WAIT_S:.0f} s: {process.args!r}\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(happened: Callable[[], object], what: str, process: Any = None) -> None:
    """Wait for a condition; fail after WAIT_S, or once ``process`` has ended."""
    until_s = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > until_s:
            pytest.fail(f"waited {WAIT_S:.0f} s in vain for: {what}")
        if process is not None and process.poll() is not None and not happened():
            said = process.stderr.read() if process.stderr else ""
            pytest.fail(f"the process ended with {process.returncode} before: {what}\n{said}")
        time.sleep(_POLL_S)


def running(cwd: Path) -> list[int]:
    """Return the running processes that were started in a folder, with their descendants."""
    mark = f"TMPDIR={cwd / 'tmp'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # The process ended, or belongs to another user.
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def none_left(cwd: Path) -> bool:
    """Wait until no process of a folder runs, and return True."""
    wait_for(lambda: not running(cwd), f"the end of every process of {cwd}")
    return not running(cwd)


def children(pid: int) -> list[int]:
    """Return the running children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def with_arms(folder: Path) -> Path:
    """Copy the failing arms into a folder as ``arms.py``."""
    shutil.copy(Path(__file__).parent / "failing_arms.py", folder / "arms.py")
    return folder
