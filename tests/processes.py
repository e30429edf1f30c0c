"""Start the real program, and end real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

# The least that a run measures: one small component, whose work is next to nothing.
SMALL = (
    *("--variants", "B/32", "--image-size", "32", "--batch-sizes", "1"),
    *("--modes", "forward", "--component", "block"),
)


def vitbench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m bench`` in a folder and wait for its end."""
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


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


def kill_children() -> None:
    """Kill what this process started, as the kernel does when memory runs out."""
    for pid in children(os.getpid()):
        os.kill(pid, signal.SIGKILL)
