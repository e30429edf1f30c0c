"""What a process that measures does besides: it writes, obeys, and ends with its parent.

``python -m bench.worker PARENT MODULE ARGUMENT...`` runs a module, such as pytest, in such a one.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from bench.files.journal import append_event, append_sample, append_survey
from bench.records.arm_costs import Survey
from bench.records.comparison import Sample
from bench.records.task import LOST, UNWRITABLE, PassPlan, SurveyPlan

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


def announce(plan: PassPlan, key: str) -> None:
    """Write that a comparison begins; ends the process where that cannot be written."""
    with _or_give_up(plan.journal):
        append_event(plan.journal, "start", key=key, pass_index=plan.pass_index)


def announce_case(plan: SurveyPlan, key: str) -> None:
    """Write that a case is looked at; ends the process where that cannot be written."""
    with _or_give_up(plan.journal):
        append_event(plan.journal, "survey_start", key=key)


def keep(plan: PassPlan, sample: Sample, device: str) -> None:
    """Write what was measured; ends the process where it cannot be, or the device is lost.

    The exit code says what happened: pytest would go on, and measure what is then thrown away.
    """
    with _or_give_up(plan.journal):
        append_sample(plan.journal, sample)
    _end_where_lost(sample.status, device)


def keep_survey(plan: SurveyPlan, survey: Survey, device: str) -> None:
    """The same for what a look at a case told."""
    with _or_give_up(plan.journal):
        append_survey(plan.journal, survey)
    _end_where_lost(survey.measured.status, device)


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
