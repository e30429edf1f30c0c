"""A user's files: changes between start and resume, other folders, and files kept after a crash."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from bench.files.results_csv import read_csv
from helpers.processes import Ended, vitbench, with_arms

pytestmark = [pytest.mark.slow, pytest.mark.long]

QUICK = ("--input", "2,8", "--budget", "1s", "--passes", "1", "--no-survey")


def test_a_changed_file_is_refused(interrupted: Ended, tmp_path: Path) -> None:
    """A run cannot be resumed with changed code."""
    cwd = interrupted.copied(tmp_path)
    path = cwd / "run" / "plan.json"
    plan = json.loads(path.read_text())
    assert list(plan["sources"]) == ["arms.py"]
    with (cwd / "arms.py").open("a") as file:
        file.write("# changed\n")
    done = vitbench("run", "--resume", "run", cwd=cwd)
    assert done.returncode == 2
    assert re.fullmatch(
        r"vitbench: .*arms\.py has changed since the run began; .*", done.stderr.splitlines()[-1]
    )


def test_a_run_is_resumed_from_anywhere(interrupted: Ended, tmp_path: Path) -> None:
    """Relative paths of arms work when a run is resumed from another folder."""
    cwd = interrupted.copied(tmp_path / "project")
    (cwd / "quick").touch()
    (tmp_path / "elsewhere").mkdir()
    done = vitbench("run", "--resume", str(cwd / "run"), cwd=tmp_path / "elsewhere")
    assert done.returncode == 0
    assert {row.status for row in read_csv(cwd / "run" / "results.csv")} == {"ok"}


def compared(cwd: Path, arm: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Compare an arm with ``right``; return the process and the temporary folders left."""
    done = vitbench("compare", "arms.py:right", f"arms.py:{arm}", *QUICK, cwd=with_arms(cwd))
    return done, list((cwd / "tmp").glob("vitbench-????????/*"))


def test_a_crash_leaves_its_log(tmp_path: Path) -> None:
    """The log of a failed arm has its traceback, and the last line has the log's path."""
    done, (folder,) = compared(tmp_path, "raises")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"{folder}/passes/*.log")
    (log,) = (folder / "passes").glob("pass-*.log")
    assert "Traceback (most recent call last)" in log.read_text()
    assert "ValueError: no such head\nand a second line" in log.read_text()
    assert re.search(r"ValueError: no such head \(arms\.py, line \d+\)", done.stdout)


def test_a_successful_comparison_leaves_no_files(tmp_path: Path) -> None:
    """Without a failure and without --out no file is kept."""
    done, folders = compared(tmp_path, "right")
    assert done.returncode == 0
    assert folders == []
    assert not list((tmp_path / "tmp").glob("vitbench-????????"))
