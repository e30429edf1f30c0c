"""Duties of a worker process: append outcomes, obey interrupts, end with its parent."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from bench.files.journal import append_event, append_outcome, append_start
from bench.records.task import LOST, UNWRITABLE, J, Job, Outcome, Task

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies: an orphan would write on.

    Where the kernel is no Linux, nothing is done.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def finish_on_interrupt(interrupt: Event) -> None:
    """At the first interrupt only note it, so that the pair under way ends; then end at once."""

    def note(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt.set()

    signal.signal(signal.SIGINT, note)


def work(task: Task[J], do: Callable[[J], Outcome]) -> None:
    """Do the jobs of a task in order, and append each start and each outcome to its journal."""
    for job in task.jobs:
        announce(task, job)
        keep(task, job, do(job))


def announce(task: Task[Any], job: Job) -> None:
    """Append that a job starts; end the process where that cannot be written."""
    with _or_give_up(task.journal):
        append_start(task.journal, job)


def report(task: Task[Any], text: str) -> None:
    """Append one line of progress inside a job; end the process where that cannot be written."""
    with _or_give_up(task.journal):
        append_event(task.journal, "progress", text=text)


def keep(task: Task[Any], job: Job, outcome: Outcome) -> None:
    """Append an outcome; end the process where it cannot be written, or the device is lost.

    The exit code gives the reason: pytest would go on, and measure what is then thrown away.
    """
    with _or_give_up(task.journal):
        append_outcome(task.journal, job, outcome)
    _end_where_lost(outcome.status, job.device)


def _end_where_lost(status: str, device: str) -> None:
    from bench.timing.device import is_lost

    if status == "crashed" and is_lost(device):
        os._exit(LOST)


@contextmanager
def _or_give_up(journal: Path) -> Iterator[None]:
    """End the process where the journal cannot be written."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):  # The log lies on the same disk.
            sys.stderr.write(f"{journal}: {error.strerror}\n")
        os._exit(UNWRITABLE)
