"""Killed and interrupted surveys: each case is surveyed once, and no row is lost."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import read_events
from bench.files.results_csv import read_csv
from bench.files.run_folder import read_plan
from bench.records.row import Record
from bench.runs.survey import survey_jobs
from helpers.journals import surveys_from
from helpers.processes import (
    children,
    command,
    ended,
    none_left,
    started,
    vitbench,
    wait_for,
    with_arms,
)

pytestmark = [pytest.mark.slow, pytest.mark.long]

HOW = (
    *("--input", "2,8", "--cache", "warm", "--budget", "1s", "--passes", "1"),
    *("--show", "none", "--out", "run"),
)
WAITS = ("compare", "arms.py:right", "arms.py:waits_alone", "arms.py:right", *HOW)
RESUME = ("run", "--resume", "run")
HINT = "vitbench: interrupted; go on with: vitbench run --resume run"


@pytest.fixture
def surveying(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Start a run that surveys the second of three cases; yield its folder and process."""
    with started(*command(*WAITS), cwd=with_arms(tmp_path)) as process:
        wait_for((tmp_path / "under-way").exists, "a case under way", process)
        yield tmp_path, process


def rows(cwd: Path) -> dict[str, Record]:
    """Return the rows of a run by arm."""
    return {row.arm.removeprefix("arms.py:"): row for row in read_csv(cwd / "run" / "results.csv")}


def survey_statuses(cwd: Path) -> dict[str, Any]:
    """Return the survey status of each case in plan order; check that none was repeated."""
    events, _ = read_events(cwd / "run" / "journal.jsonl")
    written = Counter(event["key"] for event in events if event["kind"] == "survey")
    assert set(written.values()) <= {1}
    found = surveys_from(events)
    names = {
        each.key: each.comparison.arm_name
        for each in survey_jobs(read_plan(cwd / "run").comparisons)
    }
    assert set(written) <= set(names)
    return {name: found[key].measured.status for key, name in names.items() if key in found}


def check_complete(cwd: Path, **statuses: str) -> None:
    """Check that each case was surveyed once and measured, with status ok unless given."""
    names = ("right", "waits_alone", "right#2")
    expected = {f"arms.py:{name}": statuses.get(name, "ok") for name in names}
    assert survey_statuses(cwd) == expected
    assert {row.status for row in rows(cwd).values()} == {"ok"}
    assert all(row.rounds for row in rows(cwd).values())


def survey_of(process: subprocess.Popen[str]) -> int:
    """Return the id of the survey's process."""
    found = [pid for pid in children(process.pid) if is_survey(pid)]
    assert len(found) == 1
    return found[0]


def is_survey(pid: int) -> bool:
    """Return whether a process runs a survey."""
    return b"survey.plan.json" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_killed_survey_costs_one_case(surveying: tuple[Path, subprocess.Popen[str]]) -> None:
    """The current case has the cause, the rest is surveyed, and all rows are complete."""
    cwd, process = surveying
    os.kill(survey_of(process), signal.SIGKILL)
    assert ended(process).returncode == 0
    check_complete(cwd, waits_alone="crashed")
    said = str(rows(cwd)["waits_alone"].note)
    assert "cost survey crashed: the process was ended by SIGKILL" in said
    assert "see passes/survey.log" in said
    assert rows(cwd)["waits_alone"].allocated_bytes is None
    assert rows(cwd)["right#2"].allocated_bytes


def test_a_killed_run_resumes_its_survey(surveying: tuple[Path, subprocess.Popen[str]]) -> None:
    """No measurement is repeated, and each case is surveyed once in the end."""
    cwd, process = surveying
    before = (cwd / "run" / "journal.jsonl").read_bytes()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert none_left(cwd)
    assert survey_statuses(cwd) == {"arms.py:right": "ok"}
    (cwd / "quick").touch()
    done = vitbench(*RESUME, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "pass 1/1" not in done.stderr
    after = (cwd / "run" / "journal.jsonl").read_bytes()
    assert after.startswith(before)
    check_complete(cwd)
    again = vitbench(*RESUME, cwd=cwd)
    assert again.returncode == 0
    assert (cwd / "run" / "journal.jsonl").read_bytes() == after


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_survey_can_be_finished(
    number: int, surveying: tuple[Path, subprocess.Popen[str]]
) -> None:
    """An interrupt costs one case; rows are written and the command to resume is printed."""
    cwd, process = surveying
    process.send_signal(number)
    done = ended(process)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == HINT
    assert "Traceback" not in done.stderr
    assert none_left(cwd)
    assert rows(cwd)["right"].allocated_bytes
    assert rows(cwd)["right#2"].rounds
    assert survey_statuses(cwd) == {"arms.py:right": "ok"}
    (cwd / "quick").touch()
    assert vitbench(*RESUME, cwd=cwd).returncode == 0
    check_complete(cwd)


def test_an_interrupt_is_not_lost_while_torch_loads(tmp_path: Path) -> None:
    """An interrupt before the first case ends the survey at once."""
    log = tmp_path / "run" / "passes" / "survey.log"
    with started(*command(*WAITS), cwd=with_arms(tmp_path)) as process:
        wait_for(log.exists, "the survey", process)
        wait_for(lambda: any(map(loads_torch, children(process.pid))), "torch", process)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process).returncode == 130
    assert survey_statuses(tmp_path) == {}
    assert rows(tmp_path)["right#2"].rounds


def loads_torch(pid: int) -> bool:
    """Return whether a process has started to load torch's library."""
    try:
        return "libtorch_python" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def test_arms_that_crash_the_survey_are_still_measured(tmp_path: Path) -> None:
    """A crash in the survey alone is a note; the verdict stays and the exit code is 0."""
    arms = [f"arms.py:{name}" for name in ("leaves_alone", "faults_alone", "right")]
    done = vitbench("compare", "arms.py:right", *arms, *HOW, "--json", cwd=with_arms(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = {row["arm"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {row["status"] for row in found.values()} == {"ok"}
    assert all(row["speedup"] for row in found.values())
    leaves, faults, right = (found[name] for name in (*arms[:2], "arms.py:right#2"))
    assert "cost survey crashed: the process ended with code 3" in leaves["note"]
    assert "cost survey crashed: the process was ended by SIGSEGV" in faults["note"]
    assert right["allocated_bytes"]
    assert "alone" not in right["note"]
