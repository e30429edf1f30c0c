"""Start the real program, watch it, and end real processes.

Whatever ``vitbench`` and ``started`` start gets a TMPDIR in its working directory: its locks are
its own, so that no other run on this machine disturbs it, and its processes can be found again.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The least that can be measured: one small component, whose work is next to nothing.
SMALLEST = (
    *("--variants", "B/32", "--image-size", "32", "--batch-sizes", "1"),
    *("--modes", "forward", "--component", "block"),
)
# Two comparisons of 200 slow pairs each, of which the first is under way for 20 s.
COMPARE = (
    *("compare", "arms.py:steady", "arms.py:steady", "--input", "2,8", "--cache", "warm"),
    *("--budget", "10m", "--passes", "1", "--no-survey", "--out", "run"),
)
# A shell's background job and nohup, as some CI is one, ignore signals and hand that on to whatever
# they start.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
# Long enough for any step on a busy machine; a test that waits so long has failed.
WAIT_S = 240.0
_POLL_S = 0.01


@dataclass(frozen=True)
class Ended:
    """The folder in which the program was started, how it ended, and whether all of it did."""

    cwd: Path
    done: subprocess.CompletedProcess[str]
    none_left: bool

    def copied(self, to: Path) -> Path:
        """The folder again, for a test to change, as if the run had begun there."""
        shutil.copytree(self.cwd, to, dirs_exist_ok=True)
        path = to / "run" / "plan.json"
        path.write_text(path.read_text().replace(str(self.cwd), str(to)))
        return to


def command(*arguments: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "bench", *arguments]


def environment(cwd: Path) -> dict[str, str]:
    """This process's environment with temporary files, and so locks, below a folder."""
    folder = cwd / "tmp"
    folder.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder)}


def vitbench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder and wait for its end."""
    with started(*command(*arguments), cwd=cwd) as process:
        return ended(process)


@contextmanager
def started(*words: str, cwd: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a session of its own; nothing of it is left when the block ends."""
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
    """Wait for a process's end; what it printed."""
    try:
        out, err = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {WAIT_S:.0f} s: {process.args!r}\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(happened: Callable[[], object], what: str, process: Any = None) -> None:
    """Wait until something has happened; fails where it takes too long, or a process ends first."""
    until_s = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > until_s:
            pytest.fail(f"waited {WAIT_S:.0f} s in vain for: {what}")
        if process is not None and process.poll() is not None and not happened():
            said = process.stderr.read() if process.stderr else ""
            pytest.fail(f"the process ended with {process.returncode} before: {what}\n{said}")
        time.sleep(_POLL_S)


def running(cwd: Path) -> list[int]:
    """The processes that were started in a folder, and those that they started, that still run."""
    mark = f"TMPDIR={cwd / 'tmp'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # It ended meanwhile, or is another user's.
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def none_left(cwd: Path) -> bool:
    """Whether no process of a folder runs any more, soon at the latest."""
    wait_for(lambda: not running(cwd), f"the end of every process of {cwd}")
    return not running(cwd)


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
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
    """Put the failing arms into a folder, as ``arms.py``."""
    shutil.copy(Path(__file__).parent / "failing_arms.py", folder / "arms.py")
    return folder
