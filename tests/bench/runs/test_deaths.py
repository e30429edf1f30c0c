"""bench.runs.processes: the cause of a process's end, by real exit codes and counters."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records.sample import STATUSES
from bench.records.task import LOST
from bench.runs.processes import Death, death, oom_kills

LOG = Path("run/passes/pass-1.log")


def exit_code(code: str) -> int:
    """Return the exit code of a real process that runs this code."""
    # The crash is intended: write no core file.
    quiet = "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
    return subprocess.run([sys.executable, "-c", quiet + code], check=False).returncode


@pytest.mark.parametrize(
    ("code", "out_of_memory", "expected"),
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            True,
            Death("oom", "the kernel killed the process: out of memory; see passes/pass-1.log"),
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            False,
            Death("crashed", "the process was ended by SIGKILL; see passes/pass-1.log"),
        ),
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            True,
            Death("crashed", "the process was ended by SIGSEGV; see passes/pass-1.log"),
        ),
        (
            "os.abort()",
            False,
            Death("crashed", "the process was ended by SIGABRT; see passes/pass-1.log"),
        ),
        (
            "os._exit(3)",
            True,
            Death("crashed", "the process ended with code 3; see passes/pass-1.log"),
        ),
        (
            "os._exit(0)",
            False,
            Death("crashed", "the process ended with code 0; see passes/pass-1.log"),
        ),
        (
            f"os._exit({LOST})",
            False,
            Death("crashed", "an arm made the GPU unusable; see passes/pass-1.log"),
        ),
    ],
)
def test_causes(code: str, expected: Death, *, out_of_memory: bool) -> None:
    """Each kind of end has its status and one line that names the log."""
    found = death(exit_code(code), out_of_memory=out_of_memory, log=LOG)
    assert found == expected
    assert found.status in STATUSES


@pytest.mark.parametrize("number", sorted(signal.valid_signals()))
def test_every_signal_has_a_cause(number: int) -> None:
    """Every signal, real-time ones included, gives status crashed and a one-line cause."""
    found = death(-number, out_of_memory=False, log=LOG)
    assert found.status == "crashed"
    assert found.cause.startswith("the process was ended by ")


def counter(path: Path, text: str) -> Path:
    """Write a file of counters."""
    path.write_text(text, encoding="ascii")
    return path


def test_killed_processes_are_counted(tmp_path: Path) -> None:
    """Kills by the kernel are read from the machine's and the container's counters."""
    counters = (
        counter(tmp_path / "vmstat", "pgfault 12\noom_kill 3\ncompact_fail 7\n"),
        counter(tmp_path / "events", "low 0\noom 9\noom_kill 2\noom_group_kill 5\n"),
    )
    assert oom_kills(counters) == 5
    assert oom_kills(counters[:1]) == 3


def test_missing_counters_count_as_zero(tmp_path: Path) -> None:
    """Missing counters count as no kill and raise no error."""
    assert oom_kills((tmp_path / "none", counter(tmp_path / "events", "low 0\n"))) == 0


def test_this_machines_counters_can_be_read() -> None:
    """The count of this machine is a number that never decreases."""
    before = oom_kills()
    assert 0 <= before <= oom_kills()
