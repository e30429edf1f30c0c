"""Arms that fail in every possible way, for tests of the real program.

Arms and tests communicate by files in the working directory: an arm creates ``under-way`` once its
rounds or its survey have started, and ``interrupted`` after a signal; once the test creates
``quick``, calls take no time.
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

# The check and the warm-up take fewer calls.
_CALLS_BEFORE_ROUNDS = 20
_CALL_S = 0.05


def right() -> Work:
    """Add one."""
    return lambda x: x + 1


def steady() -> Work:
    """Add one slowly, like a large model, until the test creates ``quick``."""
    calls = itertools.count(1)

    def work(x: Tensor) -> Tensor:
        if next(calls) == _CALLS_BEFORE_ROUNDS:
            Path("under-way").touch()
        if not Path("quick").exists():
            time.sleep(_CALL_S)
        return x + 1

    return work


def wrong() -> Work:
    """Return a wrong result."""
    return lambda x: x + 2


def _at_first_call(fail: Callable[[], object]) -> Work:
    def work(x: Tensor) -> Tensor:
        fail()
        return x + 1

    return work


def _in_a_round(fail: Callable[[], object]) -> Work:
    calls = itertools.count(1)

    def work(x: Tensor) -> Tensor:
        if next(calls) == _CALLS_BEFORE_ROUNDS:
            fail()
        return x + 1

    return work


def _raise(error: BaseException) -> None:
    raise error


def raises() -> Work:
    """Raise at once."""
    return _at_first_call(lambda: _raise(ValueError("no such head\nand a second line")))


def raises_late() -> Work:
    """Raise in a measured round."""
    return _in_a_round(lambda: _raise(ValueError("no such head")))


def takes_too_much() -> Work:
    """Allocate petabytes in a measured round."""
    return _in_a_round(lambda: torch.empty(2**50))


def finds_no_memory() -> Work:
    """Raise MemoryError like Python itself."""
    return _at_first_call(lambda: _raise(MemoryError()))


def leaves() -> Work:
    """Exit Python with a code at once."""
    return _at_first_call(lambda: sys.exit(3))


def leaves_late() -> Work:
    """Exit Python with a code in a measured round."""
    return _in_a_round(lambda: sys.exit(3))


def leaves_at_once() -> Work:
    """End the process without output."""
    return _in_a_round(lambda: os._exit(3))


def faults() -> Work:
    """Read an invalid address."""
    return _in_a_round(lambda: ctypes.string_at(0))


def aborts() -> Work:
    """Abort like a C++ library with a failed assertion."""
    return _in_a_round(os.abort)


def is_killed() -> Work:
    """Kill the process with SIGKILL."""
    return _in_a_round(lambda: os.kill(os.getpid(), signal.SIGKILL))


def hangs() -> Work:
    """Hang in a measured round; report that, and any interrupt, through files."""
    return _in_a_round(_hang)


def _hang() -> None:
    Path("under-way").touch()
    while True:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            Path("interrupted").touch()
        time.sleep(_CALL_S)


def ignores_signals() -> Work:
    """Hang and ignore every signal."""
    return _in_a_round(_ignore)


def _ignore() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _hang()


def _when_alone(fail: Callable[[], object]) -> Work:
    """Build an arm that fails in the survey and is measured normally in a pass."""

    def work(x: Tensor) -> Tensor:
        if Path(sys.argv[-1]).name.startswith("survey"):
            fail()
        return x + 1

    return work


def leaves_alone() -> Work:
    """End the survey's process without output."""
    return _when_alone(lambda: os._exit(3))


def faults_alone() -> Work:
    """Read an invalid address in the survey."""
    return _when_alone(lambda: ctypes.string_at(0))


def tears_alone() -> Work:
    """End the survey's process in the middle of a journal line."""
    return _when_alone(_tear)


def _tear() -> None:
    with Path("run/journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"schema": 3, "kind": "sur')
    os._exit(3)


def waits_alone() -> Work:
    """Block the survey until the test creates ``quick``."""
    return _when_alone(_wait)


def _wait() -> None:
    while not Path("quick").exists():
        Path("under-way").touch()
        time.sleep(_CALL_S)
