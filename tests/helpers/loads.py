"""Real load: programs that keep cores busy while a test measures."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

_FOREVER = "print()\nwhile True: pass"


@contextmanager
def cores_of_this_process(cores: Collection[int]) -> Iterator[None]:
    """Let this process, and the processes that it starts, use only these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def one_busy_core() -> Iterator[int]:
    """Keep the first core of this process busy by a program that never sleeps."""
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, "-uc", _FOREVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as rival:
        try:
            os.sched_setaffinity(rival.pid, {core})
            assert rival.stdout
            rival.stdout.readline()
            yield core
        finally:
            rival.kill()
