"""A full disk or a removed folder: one line with the remedy, and no lost measurement."""

import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.files.results_csv import read_csv
from helpers.journals import read_samples
from helpers.processes import (
    Ended,
    children,
    command,
    ended,
    none_left,
    started,
    vitbench,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.long]


def fill_disk(process: subprocess.Popen[str], room_bytes: int) -> None:
    """Limit the size of every file that a program and its pass write from now on."""
    for pid in [process.pid, *children(process.pid)]:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (room_bytes, room_bytes))


@pytest.fixture(scope="module")
def full(interrupted: Ended, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Return a run with one pass measured and no disk space for the second."""
    cwd = interrupted.copied(tmp_path_factory.mktemp("full"))
    (cwd / "under-way").unlink()
    with started(*command("run", "--resume", "run"), cwd=cwd) as process:
        wait_for((cwd / "under-way").exists, "rounds under way", process)
        fill_disk(process, (cwd / "run" / "journal.jsonl").stat().st_size + 20)
        (cwd / "quick").touch()
        return Ended(cwd, ended(process), none_left(cwd))


def test_a_full_disk_is_one_line_with_the_remedy(full: Ended) -> None:
    """The message has the folder, the system's reason and the command that resumes."""
    assert full.done.returncode == 2
    assert full.done.stderr.splitlines()[-1] == (
        "vitbench: folder run cannot be written (File too large); what was measured is kept: "
        "make room, then go on with: vitbench run --resume run"
    )


def test_a_full_disk_loses_nothing(full: Ended, interrupted: Ended) -> None:
    """Earlier measurements stay exactly the same in the journal and in the CSV."""
    assert read_samples(full.cwd / "run") == read_samples(interrupted.cwd / "run")
    assert read_csv(full.cwd / "run" / "results.csv") == read_csv(
        interrupted.cwd / "run" / "results.csv"
    )
    assert full.none_left


def test_the_run_resumes_once_there_is_space(full: Ended, tmp_path: Path) -> None:
    """The half-written line of a full disk does not corrupt later lines."""
    cwd = full.copied(tmp_path)
    done = vitbench("run", "--resume", "run", cwd=cwd)
    assert done.returncode == 0
    assert "1 half-written line of the journal will be measured again" in done.stderr
    assert {row.status for row in read_csv(cwd / "run" / "results.csv")} == {"ok"}
    assert len(read_samples(cwd / "run")) == 4


def test_a_removed_folder_is_one_line(under_way: tuple[Path, subprocess.Popen[str]]) -> None:
    """Deletion of the run's folder ends the run with one line; the folder is not recreated."""
    cwd, process = under_way
    shutil.rmtree(cwd / "run")
    (cwd / "quick").touch()
    done = ended(process)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "vitbench: run was removed during the run, with its measurements; start a new run"
    )
    assert none_left(cwd)
    assert not (cwd / "run").exists()
