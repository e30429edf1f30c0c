"""Duties of a worker process: append outcomes, handle interrupts, end with its parent."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from bench.files.journal import append_event, append_outcome, append_sample, append_start
from bench.machine.calm import WAIT_SHARE, Patience
from bench.records.sample import Sample
from bench.records.task import LOST, UNWRITABLE, J, Job, Outcome, PassJob, Task

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Make the kernel kill this process when its parent dies: an orphan would continue to write.

    Does nothing on systems other than Linux.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def finish_on_interrupt(interrupt: Event) -> None:
    """Note a first interrupt, so that the current pair finishes; end at once on a second."""

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
    """Append the start of a job; end the process if it cannot be written."""
    with _end_if_unwritable(task.journal):
        append_start(task.journal, job)


def report(task: Task[Any], text: str) -> None:
    """Append one line of a job's progress; end the process if it cannot be written."""
    with _end_if_unwritable(task.journal):
        append_event(task.journal, "progress", text=text)


def sign_of_life(task: Task[Any]) -> Callable[[], None]:
    """Return a function to call often, which appends an event four times in the task's limit.

    A group of comparisons may take longer than the limit of one; a silence that long is a hang.
    """
    last_s = time.monotonic()

    def is_alive() -> None:
        nonlocal last_s
        if time.monotonic() - last_s > task.limit_s / 4:
            with _end_if_unwritable(task.journal):
                append_event(task.journal, "alive")
            last_s = time.monotonic()

    return is_alive


def patience_for(task: Task[Any], stop: Callable[[], bool]) -> Patience:
    """Return the patience of a task, a share of its time; its waits are shown as progress."""
    left_s = WAIT_SHARE * max(task.deadline_s - time.time(), 0.0)
    return Patience(left_s, say=partial(report, task), stop=stop)


def keep(task: Task[Any], job: Job, outcome: Outcome) -> None:
    """Append an outcome; end the process if it cannot be written, or if the device is lost.

    The exit code gives the reason. Ends at once: later jobs could not be written or measured.
    """
    with _end_if_unwritable(task.journal):
        append_outcome(task.journal, job, outcome)
    _end_if_lost(outcome.status, job.device)


def keep_sample(task: Task[Any], job: PassJob, sample: Sample) -> None:
    """Append a sample of a pass; end the process like ``keep``."""
    with _end_if_unwritable(task.journal):
        append_sample(task.journal, sample)
    _end_if_lost(sample.status, job.device)


def _end_if_lost(status: str, device: str) -> None:
    from bench.timing.device import is_lost

    if status == "crashed" and is_lost(device):
        os._exit(LOST)


@contextmanager
def _end_if_unwritable(journal: Path) -> Iterator[None]:
    """End the process if the journal cannot be written."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):  # The log is on the same disk.
            sys.stderr.write(f"{journal}: {error.strerror}\n")
        os._exit(UNWRITABLE)
