"""A closed terminal ends a run like an interrupt; under nohup the run continues."""

import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from bench.files.results_csv import read_csv
from helpers.journals import read_samples
from helpers.processes import COMPARE, command, ended, none_left, started, wait_for, with_arms

pytestmark = [pytest.mark.slow, pytest.mark.long]

# Starts a program with standard input as its controlling terminal, like a terminal window.
AT_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_closed_terminal_keeps_the_rows(tmp_path: Path) -> None:
    """A closed terminal window loses no measurement, and no process is left."""
    ours, theirs = pty.openpty()
    words = (sys.executable, "-c", AT_TERMINAL, *command(*COMPARE))
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with started(*words, cwd=with_arms(tmp_path), **streams) as process:
        os.close(theirs)
        wait_for((tmp_path / "under-way").exists, "rounds under way", process)
        os.close(ours)
        assert ended(process).returncode == 130
        assert none_left(tmp_path)
    assert [bool(each.arm_s) for each in read_samples(tmp_path / "run")] == [True, True]
    assert (tmp_path / "run" / "results.csv").exists()


def test_nohup_stays_nohup(tmp_path: Path) -> None:
    """Under nohup a run ignores SIGHUP and ends normally, even with standard error closed."""
    with started("nohup", *command(*COMPARE), cwd=with_arms(tmp_path)) as process:
        wait_for((tmp_path / "under-way").exists, "rounds under way", process)
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        process.stderr.close()
        (tmp_path / "quick").touch()
        assert ended(process).returncode == 0
    assert {row.status for row in read_csv(tmp_path / "run" / "results.csv")} == {"ok"}
