"""``vitbench memory`` and ``profile``: kills, hangs, interrupts and locks of their worker."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.processes import children, command, ended, none_left, started, vitbench, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

MEMORY = ("memory", "L/16", "--mode", "forward", "--batch-size", "1", "--device", "cpu")


PROFILE = ("profile", "L/16", "--out", "p")


@contextmanager
def measuring(
    cwd: Path, *more: str, words: tuple[str, ...] = MEMORY
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the program; yield it and its worker's process id while a model is built."""

    def starts() -> bool:
        journals = (cwd / "tmp").glob("vitbench-*/journal.jsonl")
        return any(f"{words[0]}_start" in journal.read_text() for journal in journals)

    with started(*command(*words, *more), cwd=cwd) as process:
        wait_for(starts, "a measurement under way", process)
        (worker,) = children(process.pid)
        yield process, worker


def test_a_killed_measurement_is_a_status(tmp_path: Path) -> None:
    """The row keeps the prediction and has the cause; the next case is measured; exit code 1."""
    with measuring(tmp_path, "B/32", "--json") as (process, worker):
        os.kill(worker, signal.SIGKILL)
        done = ended(process)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    killed, other = map(json.loads, done.stdout.splitlines())
    assert killed["predicted"]["total_bytes"] > 0
    assert killed["measured"]["status"] == "crashed"
    assert killed["measured"]["error"].startswith("the process was ended by SIGKILL")
    assert killed["error"] is None
    assert other["measured"]["status"] == "ok"


def test_a_measurement_that_hangs_is_a_status(tmp_path: Path) -> None:
    """A hang is ended after --case-timeout, and the note names the option."""
    with measuring(tmp_path, "--case-timeout", "1s") as (process, worker):
        os.kill(worker, signal.SIGSTOP)
        done = ended(process)
        assert none_left(tmp_path)
    assert done.returncode == 1
    assert "no result within 1 s; the process was killed; raise --case-timeout" in done.stdout


def test_a_second_measurement_is_refused(tmp_path: Path) -> None:
    """The error names the process that holds the device; the worker ends with its parent."""
    with measuring(tmp_path) as (process, worker):
        os.kill(worker, signal.SIGSTOP)
        second = vitbench("memory", "B/32", "--device", "cpu", cwd=tmp_path)
        assert second.returncode == 2
        (line,) = second.stderr.splitlines()
        assert f"device 'cpu' is being measured by process {process.pid} of " in line
        assert "vitbench memory L/16" in line
        process.kill()
        process.wait()
        assert none_left(tmp_path)


def test_an_interrupt_keeps_the_prediction(tmp_path: Path) -> None:
    """Ctrl-C ends the measurement, and the table has the prediction."""
    with measuring(tmp_path) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        done = ended(process)
        assert none_left(tmp_path)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "vitbench: interrupted"
    assert "L/16 b1 forward: interrupted: not measured" in done.stdout
    assert not list((tmp_path / "tmp").glob("vitbench-[!l]*"))


def test_a_crash_inside_a_profile_is_one_line(tmp_path: Path) -> None:
    """The command reports the worker's end in one line and exits with code 2."""
    with measuring(tmp_path, words=PROFILE) as (process, worker):
        os.kill(worker, signal.SIGSEGV)
        done = ended(process)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("vitbench: L/16 b1 forward was not profiled (crashed): ")
    assert "the process was ended by SIGSEGV" in last
    assert last.endswith("; try another --precision, --attention or --compile")
    assert not (tmp_path / "p").exists()


def test_the_worker_of_a_profile_ends_with_it(tmp_path: Path) -> None:
    """No process is left after the command is killed."""
    with measuring(tmp_path, words=PROFILE) as (process, worker):
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.wait()
        assert none_left(tmp_path)
