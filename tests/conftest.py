"""The order of the tests, and a finished run that tests read or copy."""

import os

import pytest

from helpers.processes import SMALLEST, command, ended, environment, started
from helpers.runs import FinishedRun
from helpers.shared import made_once

# Without a choice the comparisons are the same on any machine.
_ASKED = (
    *("--factors", "patcher,attention,precision", "--no-choose", "--objective", "memory"),
    *("--passes", "2", "--precision", "90%", "--budget", "100s"),
)


# Runs of tests compute everything, and leave the user's cache alone.
os.environ["VITBENCH_CACHE"] = "off"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of at least two passes; read-only."""

    def make() -> FinishedRun:
        cwd = tmp_path_factory.mktemp("finished")
        given = {**environment(cwd), "GITHUB_STEP_SUMMARY": str(cwd / "summary.md")}
        with started(*command("run", *SMALLEST, *_ASKED), cwd=cwd, env=given) as process:
            done = ended(process)
        assert done.returncode == 0, done.stderr
        (folder,) = (cwd / "results").iterdir()
        return FinishedRun(folder=folder, done=done, summary=(cwd / "summary.md").read_text())

    return made_once(tmp_path_factory, "finished", make)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no worker ends with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
