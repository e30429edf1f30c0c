"""Two runs at once: the second is refused unless --no-lock is given."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers.processes import COMPARE, command, ended, started, wait_for, with_arms

pytestmark = [pytest.mark.slow, pytest.mark.long]

SMALL = (
    *("compare", "arms.py:right", "arms.py:right", "--input", "2,8", "--budget", "1s"),
    *("--passes", "1", "--no-survey", "--json"),
)
SECOND = {
    "compare": SMALL,
    "resume --no-lock": ("run", "--resume", "run", "--no-lock"),
}


@pytest.fixture(scope="module")
def second(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[int, dict[str, subprocess.CompletedProcess[str]]]:
    """Return the first program's process id and the results of others started meanwhile."""
    cwd = with_arms(tmp_path_factory.mktemp("two"))
    with ExitStack() as stack:
        first = stack.enter_context(started(*command(*COMPARE), cwd=cwd))
        wait_for((cwd / "under-way").exists, "rounds under way", first)
        others = {
            name: stack.enter_context(started(*command(*words), cwd=cwd))
            for name, words in SECOND.items()
        }
        done = {name: ended(process) for name, process in others.items()}
        assert first.poll() is None
        return first.pid, done


def test_a_second_run_on_the_device_is_refused(
    second: tuple[int, dict[str, subprocess.CompletedProcess[str]]],
) -> None:
    """The line has the device, the process that measures on it, and the remedy."""
    first, done = second
    assert done["compare"].returncode == 2
    (line,) = done["compare"].stderr.splitlines()
    assert f"device 'cpu' is being measured by process {first} of " in line
    assert "vitbench compare arms.py:steady arms.py:steady --input 2,8" in line
    assert "wait until it ends, or give --no-lock to measure without a lock" in line


def test_without_locks_a_second_run_measures(
    under_way: tuple[Path, subprocess.Popen[str]],
) -> None:
    """With --no-lock two runs measure at the same time."""
    cwd, first = under_way
    with started(*command(*SMALL, "--no-lock"), cwd=cwd) as second:
        done = ended(second)
        assert first.poll() is None
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ok"


def test_no_second_run_writes_into_a_folder(
    second: tuple[int, dict[str, subprocess.CompletedProcess[str]]],
) -> None:
    """A run's folder has one writer, even with --no-lock."""
    first, done = second
    assert done["resume --no-lock"].returncode == 2
    (line,) = done["resume --no-lock"].stderr.splitlines()
    assert line.startswith(f"vitbench: folder run is being written by process {first} of ")
