"""How a pass process ended, in words: what became of the comparison that was under way."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from bench.plans import LOST

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
