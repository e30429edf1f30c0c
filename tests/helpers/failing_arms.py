"""Arms that fail in every way that an arm can; tests name them to the real program.

They meet the test through files in the working directory: ``under-way`` says that pairs are being
measured, or that an arm is being looked at alone, ``interrupted`` that the process was; where the
test makes ``quick``, calls take no time.
"""

import ctypes
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

Work = Callable[[Tensor], Tensor]

# Checking and settling take fewer calls.
_CALLS_BEFORE_PAIRS = 20
_CALL_S = 0.05


def right() -> Work:
    """Add one."""
    return lambda x: x + 1


def steady() -> Work:
    """Add one, as slowly as a large model, until the test has seen enough."""
    calls = itertools.count(1)

    def work(x: Tensor) -> Tensor:
        if next(calls) == _CALLS_BEFORE_PAIRS:
            Path("under-way").touch()
        if not Path("quick").exists():
            time.sleep(_CALL_S)
        return x + 1

    return work


def wrong() -> Work:
    """Add something else."""
    return lambda x: x + 2


def _at_first_call(fail: Callable[[], object]) -> Work:
    def work(x: Tensor) -> Tensor:
        fail()
        return x + 1

    return work


def _in_a_pair(fail: Callable[[], object]) -> Work:
    calls = itertools.count(1)

    def work(x: Tensor) -> Tensor:
        if next(calls) == _CALLS_BEFORE_PAIRS:
            fail()
        return x + 1

    return work


def _raise(error: BaseException) -> None:
    raise error


def raises() -> Work:
    """Raise at once."""
    return _at_first_call(lambda: _raise(ValueError("no such head\nand a second line")))


def raises_late() -> Work:
    """Raise in a measured pair."""
    return _in_a_pair(lambda: _raise(ValueError("no such head")))


def takes_too_much() -> Work:
    """Allocate petabytes."""
    return _in_a_pair(lambda: torch.empty(2**50))


def finds_no_memory() -> Work:
    """Fail like Python itself where memory has run out."""
    return _at_first_call(lambda: _raise(MemoryError()))


def leaves() -> Work:
    """Leave Python with a code at once."""
    return _at_first_call(lambda: sys.exit(3))


def leaves_late() -> Work:
    """Leave Python with a code in a measured pair."""
    return _in_a_pair(lambda: sys.exit(3))


def leaves_at_once() -> Work:
    """End the process without a word."""
    return _in_a_pair(lambda: os._exit(3))


def faults() -> Work:
    """Read where no memory is."""
    return _in_a_pair(lambda: ctypes.string_at(0))


def aborts() -> Work:
    """End as a C++ library does that finds itself broken."""
    return _in_a_pair(os.abort)


def is_killed() -> Work:
    """End as by the hand of an administrator."""
    return _in_a_pair(lambda: os.kill(os.getpid(), signal.SIGKILL))


def hangs() -> Work:
    """Never return, in a measured pair; say so, and that an interrupt has come."""
    return _in_a_pair(_hang)


def _hang() -> None:
    Path("under-way").touch()
    while True:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            Path("interrupted").touch()
        time.sleep(_CALL_S)


def obeys_nobody() -> Work:
    """Never return, whatever signal asks for it."""
    return _in_a_pair(_ignore)


def _ignore() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _hang()


def _when_alone(fail: Callable[[], object]) -> Work:
    """Fail where the arm is looked at alone; passes measure it like any other."""

    def work(x: Tensor) -> Tensor:
        if Path(sys.argv[-1]).name.startswith("survey"):
            fail()
        return x + 1

    return work


def leaves_alone() -> Work:
    """End the survey's process without a word."""
    return _when_alone(lambda: os._exit(3))


def faults_alone() -> Work:
    """Read where no memory is, in the survey."""
    return _when_alone(lambda: ctypes.string_at(0))


def tears_alone() -> Work:
    """End the survey's process in the middle of a line of its journal."""
    return _when_alone(_tear)


def _tear() -> None:
    with Path("run/journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"schema": 3, "kind": "sur')
    os._exit(3)


def waits_alone() -> Work:
    """Keep the survey waiting until the test has seen enough."""
    return _when_alone(_wait)


def _wait() -> None:
    while not Path("quick").exists():
        Path("under-way").touch()
        time.sleep(_CALL_S)
