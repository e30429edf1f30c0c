"""Failing arms: each gets a row with status and one-line cause; the others are measured."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import none_left, vitbench, with_arms

pytestmark = [pytest.mark.slow, pytest.mark.long]

# Status and text of the cause by arm. All arms take turns until one of them ends their process.
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
    "ignores_signals": (
        "timeout",
        "no result within 4 s; the process was killed; raise --case-timeout",
    ),
}
HOW = (
    *("--input", "2,8", "--cache", "warm", "--budget", "1s", "--passes", "1"),
    *("--case-timeout", "4s", "--json"),
)

Rows = dict[str, dict[str, Any]]


def compare(
    folder: Path, *arms: str, survey: str = "--no-survey"
) -> tuple[subprocess.CompletedProcess[str], Rows]:
    """Compare arms with ``right``; return the process and the printed rows by arm."""
    names = [f"arms.py:{arm}" for arm in arms]
    done = vitbench("compare", "arms.py:right", *names, *HOW, survey, cwd=with_arms(folder))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return done, {row["arm"].removeprefix("arms.py:"): row for row in rows}


@pytest.fixture(scope="module")
def quick(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Rows]:
    """Compare arms that fail fast and one good arm."""
    return compare(tmp_path_factory.mktemp("quick"), *QUICK, "right", survey="--survey")


@pytest.mark.parametrize("arm", QUICK)
def test_a_bad_arm_is_a_row(arm: str, quick: tuple[subprocess.CompletedProcess[str], Rows]) -> None:
    """A failed arm has a status, a one-line cause and no numbers."""
    check_row(quick[1][arm], *QUICK[arm])


def check_row(row: dict[str, Any], status: str, cause: str) -> None:
    """Check the status and cause of a failed arm's row, and that its numbers are empty."""
    assert row["status"] == status
    assert cause in row["error"]
    assert row["error"].count("\n") == 0
    assert (row["speedup"], row["verdict"], row["latency_ms"]) == (None, None, None)


def test_the_others_are_measured(quick: tuple[subprocess.CompletedProcess[str], Rows]) -> None:
    """An arm after a failed one is measured, and the exit code is 1."""
    done, rows = quick
    assert rows["right#2"]["status"] == "ok"
    assert rows["right#2"]["rounds"] > 0
    assert len(rows) == len(QUICK) + 1
    assert done.returncode == 1


def test_a_bad_arm_prints_no_traceback(
    quick: tuple[subprocess.CompletedProcess[str], Rows],
) -> None:
    """Standard error has one line per measurement and the path of the logs only."""
    done, _ = quick
    *lines, last = done.stderr.splitlines()
    lines = [line for line in lines if not line.startswith("waiting for a calm machine")]
    measured, looks = lines[: len(QUICK) + 2], lines[len(QUICK) + 2 :]
    assert all(line.startswith("pass 1/1  ") for line in measured)
    assert all(line.startswith("survey  ") for line in looks)
    assert last.startswith("output and errors of the arms: ")


def test_arms_that_crashed_are_not_surveyed(
    quick: tuple[subprocess.CompletedProcess[str], Rows],
) -> None:
    """The survey covers arms that ran and, by shapes only, arms that ran out of memory."""
    done, rows = quick
    looks = [line for line in done.stderr.splitlines() if line.startswith("survey  ")]
    worth = [arm for arm, row in rows.items() if row["status"] in ("ok", "wrong", "oom")]
    assert len(looks) == len(worth) + 1
    assert not any("crashed" in line for line in looks)


def test_a_dying_process_costs_one_arm(tmp_path: Path) -> None:
    """Aborts, kills, exits and hangs, also with signals ignored, cost one arm of the group each."""
    done, rows = compare(tmp_path, *LONG, "right")
    for arm, (status, cause) in LONG.items():
        check_row(rows[arm], status, cause)
    assert rows["right#2"]["status"] == "ok"
    assert done.returncode == 1
    assert none_left(tmp_path)


def test_the_exit_code_is_0_if_everything_was_measured(tmp_path: Path) -> None:
    """The exit code is 0 if every candidate was measured."""
    done, rows = compare(tmp_path, "steady")
    assert rows["steady"]["status"] == "ok"
    assert done.returncode == 0


def test_the_exit_code_is_2_for_an_unknown_candidate(tmp_path: Path) -> None:
    """A candidate that does not exist is a one-line input error with a suggestion."""
    done, _ = compare(tmp_path, "rihgt")
    assert done.returncode == 2
    assert "did you mean 'right'?" in done.stderr.splitlines()[-1]
