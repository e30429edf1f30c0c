"""Kernel counters that show what other work takes from this process. Linux; no torch.

Each source reads its counters and judges their change over a run of pairs. The constructor of a
source that this machine lacks raises OSError.
"""

import os
import resource
import time
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from bench.machine.host import group_folders, throttling_files

C = TypeVar("C")

# Reading the scheduler's waits takes 6 microseconds in a loop, but up to 100 after a model's call
# has evicted the caches; shorter pairs share one reading.
NEAR_S = 0.005
# Interval of readings that cost more, or whose counters are too coarse for less.
FAR_S = 0.02
# /proc/stat counts in ticks of 10 ms; ten of them resolve a share of the cores.
TICKS_S = 0.1
# More threads than this are too expensive to read every NEAR_S.
FEW_THREADS = 4

# A wait of this share of a pair can move its ratio by the smallest difference that counts for a
# verdict (2 %). The kernel's own threads run for less than this share of NEAR_S at a time.
WAIT_SHARE = 0.02
# Attention against a product, 2 threads, 2 cores, a program on one: 2 to 8 % off where a thread
# waited 0.14 to 0.19 of the time, 10 % at 0.27, 13 % at 0.37, 22 % at 0.51 (docs/method.md).
UNEVEN_SHARE = 0.2
# Involuntary switches per second of processor time: 17 to 25 on a quiet machine, 240 to 280 next to
# one busy program (a switch every scheduler tick); this is the geometric middle. A few may coincide
# by chance.
SWITCHES_PER_S = 75
FEW_SWITCHES = 3
# Share of stalled time: on a quiet machine it is 0 in 99 % of the readings.
STALL_SHARE = 0.1
# Virtual machines constantly lose one or two percent, which both arms of a pair share.
STEAL_SHARE = 0.05
# Background services use less than a tenth of the cores.
OTHERS_SHARE = 0.1
# Counters are rounded to ticks, so a difference may be one tick too large at either end.
_ROUNDING_TICKS = 2

WAITING = "waiting for a core"
UNEVEN = "threads waiting for each other"
PREEMPTED = "preempted"
CORES_SHORT = "pressure on the cores"
MEMORY_SHORT = "memory pressure"
STEAL = "steal"
OTHERS = "others' load"
THROTTLED = "throttled"


class Source(Protocol[C]):
    """Counters of one kind. ``every_s`` is the minimum time between two readings, in s."""

    every_s: float

    def read(self) -> C:
        """Return the current counters. Raises OSError, ValueError or IndexError."""

    def causes(self, before: C, after: C, elapsed_s: float) -> tuple[str, ...]:
        """Return what clearly disturbed the pairs between two readings; empty if nothing did."""


class CounterFile:
    """A file that stays open, since opening it again costs more than reading it."""

    def __init__(self, path: Path, size: int = 512) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._size = size
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> bytes:
        """Return the current first ``size`` bytes. Raises OSError."""
        return os.pread(self._descriptor, self._size, 0)


class RunQueue:
    """Time that the threads of this process were ready to run and had no core.

    The scheduler counts it for each thread in nanoseconds. The thread that waited longest counts,
    since the others of a parallel region wait for it: a long wait slows arms by their number of
    regions. Waits of a single thread slow all arms alike. Later threads are not included.
    """

    def __init__(self, tasks: Path = Path("/proc/self/task")) -> None:
        self._files: list[CounterFile] = []
        ran_ns = 0
        for task in tasks.iterdir():
            with suppress(OSError):  # The thread has ended.
                file = CounterFile(task / "schedstat")
                ran_ns += int(file.read().split()[0])
                self._files.append(file)
        if not ran_ns:
            raise OSError("this kernel has no statistics of its threads")
        self.every_s = NEAR_S if len(self._files) <= FEW_THREADS else FAR_S

    def read(self) -> list[tuple[int, int]]:
        """Return how long each thread ran and waited, in ns."""
        return [_ran_and_waited_ns(file) for file in self._files]

    def causes(
        self, before: list[tuple[int, int]], after: list[tuple[int, int]], elapsed_s: float
    ) -> tuple[str, ...]:
        """Return ``WAITING`` if a thread waited for more than 2 % of the time.

        ``UNEVEN`` is added if it waited for more than a fifth, and another thread was as busy.
        """
        ready = [sum(now) - sum(then) for then, now in zip(before, after, strict=True)]
        waited_ns = max(now[1] - then[1] for then, now in zip(before, after, strict=True))
        uneven_ns = 1e9 * UNEVEN_SHARE * elapsed_s
        busy = sum(ready_ns > uneven_ns for ready_ns in ready)
        if 1e-9 * waited_ns <= WAIT_SHARE * elapsed_s:
            return ()
        return (WAITING, UNEVEN) if waited_ns > uneven_ns and busy > 1 else (WAITING,)


def _ran_and_waited_ns(file: CounterFile) -> tuple[int, int]:
    try:
        ran_ns, waited_ns, _ = file.read().split()
    except OSError:
        return 0, 0  # The thread has ended.
    return int(ran_ns), int(waited_ns)


class Switches:
    """Involuntary context switches of this process per second of its processor time."""

    every_s = TICKS_S

    def read(self) -> tuple[int, float]:
        """Return the switches of all threads, and their processor time in s."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, time.process_time()

    def causes(
        self, before: tuple[int, float], after: tuple[int, float], elapsed_s: float
    ) -> tuple[str, ...]:
        """Return ``PREEMPTED`` if switches are as frequent as the scheduler's ticks."""
        del elapsed_s
        switches = after[0] - before[0]
        many = switches > SWITCHES_PER_S * (after[1] - before[1])
        return (PREEMPTED,) if many and switches > FEW_SWITCHES else ()


class Pressure:
    """Pressure-stall information: time that some task waited for a resource.

    That of the process's own control group if it has one (version 2), otherwise the machine's.
    """

    every_s = FAR_S

    def __init__(self, resource_name: str, cause: str, folders: Sequence[Path] = ()) -> None:
        files = [folder / f"{resource_name}.pressure" for folder in folders]
        machine = Path("/proc/pressure") / resource_name
        self._file = CounterFile(next((file for file in files if file.exists()), machine))
        self._cause = cause

    def read(self) -> int:
        """Return the microseconds in which some task was stalled."""
        return int(self._file.read().partition(b"total=")[2].split(maxsplit=1)[0])

    def causes(self, before: int, after: int, elapsed_s: float) -> tuple[str, ...]:
        """Return the cause if tasks stalled for a tenth of the time."""
        return (self._cause,) if 1e-6 * (after - before) > STALL_SHARE * elapsed_s else ()


class CoreTimes:
    """Time of this process's cores, from /proc/stat: stolen, and used by other processes.

    If the process may use all cores, their sum is read, which is rounded only once. Only the causes
    in ``judged`` are reported. ``cores`` is the number of this process's cores.
    """

    every_s = TICKS_S

    def __init__(
        self,
        judged: Collection[str] = (STEAL, OTHERS),
        *,
        path: Path = Path("/proc/stat"),
        allowed: Collection[int] | None = None,
    ) -> None:
        allowed = os.sched_getaffinity(0) if allowed is None else allowed
        all_of_them = len(allowed) == os.sysconf("SC_NPROCESSORS_ONLN")
        self._file = CounterFile(path, size=512 if all_of_them else 2**16)
        self._names = {b"cpu"} if all_of_them else {b"cpu%d" % each for each in allowed}
        self._judged, self.cores = judged, len(allowed)
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def read(self) -> tuple[float, float, float]:
        """Return the stolen, busy and own seconds, over all cores of this process."""
        stolen = busy = 0
        for line in self._file.read().splitlines():
            name, *fields = line.split()
            if name in self._names:
                # user nice system idle iowait irq softirq steal …
                ticks = [int(field) for field in fields[:8]]
                busy += sum(ticks[:3]) + sum(ticks[5:7])
                stolen += ticks[7]
        return stolen * self._tick_s, busy * self._tick_s, time.process_time()

    def causes(
        self,
        before: tuple[float, float, float],
        after: tuple[float, float, float],
        elapsed_s: float,
    ) -> tuple[str, ...]:
        """Return ``STEAL`` if the hypervisor ran other machines, ``OTHERS`` for other processes."""
        stolen_s, busy_s, own_s = (now - then for then, now in zip(before, after, strict=True))
        cores_s = self.cores * elapsed_s
        rounding_s = _ROUNDING_TICKS * self._tick_s * len(self._names)
        found = {
            STEAL: stolen_s >= max(rounding_s, STEAL_SHARE * cores_s),
            OTHERS: busy_s - own_s > OTHERS_SHARE * cores_s + rounding_s,
        }
        return tuple(cause for cause in self._judged if found[cause])


class Throttling:
    """Periods in which a control group had used up its quota and its threads were stopped."""

    every_s = FAR_S

    def __init__(self, files: Sequence[Path]) -> None:
        if not files:
            raise OSError("no control group of this process has a quota")
        self._files = [CounterFile(file) for file in files]

    @classmethod
    def of_this_process(cls) -> "Throttling":
        """Watch this process's control groups with a quota. Raises OSError if none has one."""
        return cls(throttling_files(group_folders("cpu")))

    def read(self) -> int:
        """Return the throttled periods of all these groups."""
        fields = [file.read().split() for file in self._files]
        return sum(int(each[each.index(b"nr_throttled") + 1]) for each in fields)

    def causes(self, before: int, after: int, elapsed_s: float) -> tuple[str, ...]:
        """Return ``THROTTLED`` for any throttled period: its threads were stopped for the rest."""
        del elapsed_s
        return (THROTTLED,) if after > before else ()
