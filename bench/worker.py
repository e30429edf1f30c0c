"""What a pass process does besides measuring: it writes, obeys, and ends with its parent.

``python -m bench.worker PARENT ARGUMENT...`` is pytest in such a process.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from threading import Event
from typing import NoReturn

from bench.journal import append_event, append_sample
from bench.record import Sample
from bench.store import LOST, UNWRITABLE, PassPlan

_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Run pytest; obey and end with the parent from the first moment, before torch is loaded."""
    end_with(int(sys.argv.pop(1)))
    # Until there are pairs to finish an interrupt kills: a KeyboardInterrupt that meets torch's own
    # loading is lost there, and one that a shell ignores for its background stays ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import pytest

    sys.exit(pytest.main())


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
    try:
        append_event(plan.journal, "start", key=key, pass_index=plan.pass_index)
    except OSError as error:
        _give_up(plan, error)


def keep(plan: PassPlan, sample: Sample, device: str) -> None:
    """Write what was measured; ends the process where it cannot be, or the device is lost.

    The exit code says what happened: pytest would go on, and measure what is then thrown away.
    """
    try:
        append_sample(plan.journal, sample)
    except OSError as error:
        _give_up(plan, error)
    from bench.measure.memory import is_lost

    if sample.status == "crashed" and is_lost(device):
        os._exit(LOST)


def _give_up(plan: PassPlan, error: OSError) -> NoReturn:
    with suppress(OSError):  # The log lies on the same disk.
        sys.stderr.write(f"{plan.journal}: {error.strerror}\n")
    os._exit(UNWRITABLE)


if __name__ == "__main__":
    main()
