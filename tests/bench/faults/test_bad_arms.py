"""Arms that fail: each is a row with its status and one line of cause, and the rest is measured."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import none_left, vitbench, with_arms

pytestmark = pytest.mark.slow

# The statuses and what the cause says, by arm. Each is measured in a process with the others until
# one ends that process.
QUICK = {
    "raises": ("crashed", "ValueError: no such head"),
    "raises_late": ("crashed", "ValueError: no such head"),
    "wrong": ("wrong", ""),
    "takes_too_much": ("oom", "can't allocate memory"),
    "finds_no_memory": ("oom", "MemoryError"),
    "leaves": ("crashed", "SystemExit: 3"),
    "faults": ("crashed", "ended by SIGSEGV; see passes/pass-1"),
}
LONG = {
    "aborts": ("crashed", "ended by SIGABRT; see passes/pass-1"),
    "is_killed": ("crashed", "ended by SIGKILL; see passes/pass-1"),
    "leaves_at_once": ("crashed", "ended with code 3; see passes/pass-1"),
    "leaves_late": ("crashed", ""),
    "hangs": ("timeout", "no result within 4 s; the process was killed; raise --case-timeout"),
    "obeys_nobody": (
        "timeout",
        "no result within 4 s; the process was killed; raise --case-timeout",
    ),
}
HOW = ("--input", "2,8", "--budget", "1s", "--passes", "1", "--case-timeout", "4s", "--json")

Rows = dict[str, dict[str, Any]]


def compare(
    folder: Path, *arms: str, survey: str = "--no-survey"
) -> tuple[subprocess.CompletedProcess[str], Rows]:
    """Compare arms with the right one; the objects that are printed, by arm."""
    names = [f"arms.py:{arm}" for arm in arms]
    done = vitbench("compare", "arms.py:right", *names, *HOW, survey, cwd=with_arms(folder))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return done, {row["arm"].removeprefix("arms.py:"): row for row in rows}


@pytest.fixture(scope="module")
def quick(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Rows]:
    """A good arm among bad ones that fail fast."""
    return compare(tmp_path_factory.mktemp("quick"), *QUICK, "right", survey="--survey")


@pytest.mark.parametrize("arm", QUICK)
def test_a_bad_arm_is_a_row(arm: str, quick: tuple[subprocess.CompletedProcess[str], Rows]) -> None:
    """An arm that fails has a status, one line that says why, and no numbers."""
    check_row(quick[1][arm], *QUICK[arm])


def check_row(row: dict[str, Any], status: str, cause: str) -> None:
    """A row of an arm that failed says so, and only so."""
    assert row["status"] == status
    assert cause in row["error"]
    assert row["error"].count("\n") == 0
    assert (row["speedup"], row["verdict"], row["latency_ms"]) == (None, None, None)


def test_the_others_are_measured(quick: tuple[subprocess.CompletedProcess[str], Rows]) -> None:
    """What comes after a bad arm is measured as ever, and the exit code says that one failed."""
    done, rows = quick
    assert rows["right#2"]["status"] == "ok"
    assert rows["right#2"]["rounds"] > 0
    assert len(rows) == len(QUICK) + 1
    assert done.returncode == 1


def test_a_bad_arm_prints_no_traceback(
    quick: tuple[subprocess.CompletedProcess[str], Rows],
) -> None:
    """Standard error has the progress, a line for each measurement, and where the logs are."""
    done, _ = quick
    *lines, last = done.stderr.splitlines()
    measured, looks = lines[: len(QUICK) + 2], lines[len(QUICK) + 2 :]
    assert all(line.startswith("pass 1/1  ") for line in measured)
    assert all(line.startswith("survey  ") for line in looks)
    assert last.startswith("output and errors of the arms: ")


def test_what_failed_in_a_pass_is_not_run_again(
    quick: tuple[subprocess.CompletedProcess[str], Rows],
) -> None:
    """Alone are looked at what ran, and what lacked memory, whose need is told by shapes."""
    done, rows = quick
    looks = [line for line in done.stderr.splitlines() if line.startswith("survey  ")]
    worth = [arm for arm, row in rows.items() if row["status"] in ("ok", "wrong", "oom")]
    assert len(looks) == len(worth) + 1
    assert not any("crashed" in line for line in looks)


@pytest.mark.long
def test_an_arm_that_ends_its_process_takes_no_other_with_it(tmp_path: Path) -> None:
    """Aborts, kills, exits and hangs, even those that ignore signals, each cost one comparison."""
    done, rows = compare(tmp_path, *LONG, "right")
    for arm, (status, cause) in LONG.items():
        check_row(rows[arm], status, cause)
    assert rows["right#2"]["status"] == "ok"
    assert done.returncode == 1
    assert none_left(tmp_path)


@pytest.mark.long
def test_the_exit_code_is_0_where_all_was_measured(tmp_path: Path) -> None:
    """Candidates that were all measured need nobody's attention."""
    done, rows = compare(tmp_path, "steady")
    assert rows["steady"]["status"] == "ok"
    assert done.returncode == 0


@pytest.mark.long
def test_the_exit_code_is_2_where_nothing_can_be_measured(tmp_path: Path) -> None:
    """A candidate that does not exist is an input to correct, in one line."""
    done, _ = compare(tmp_path, "rihgt")
    assert done.returncode == 2
    assert "did you mean 'right'?" in done.stderr.splitlines()[-1]
