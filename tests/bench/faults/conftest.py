"""Runs interrupted by Ctrl-C, shared by several tests."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.processes import (
    COMPARE,
    Ended,
    command,
    ended,
    none_left,
    started,
    vitbench,
    wait_for,
    with_arms,
)
from helpers.shared import made_once


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Return a run interrupted in the rounds of its first pass by SIGINT to its process group."""

    def make() -> Ended:
        cwd = with_arms(tmp_path_factory.mktemp("interrupted"))
        with started(*command(*COMPARE), cwd=cwd) as process:
            wait_for((cwd / "under-way").exists, "rounds under way", process)
            os.killpg(process.pid, signal.SIGINT)
            return Ended(cwd, ended(process), none_left(cwd))

    return made_once(tmp_path_factory, "interrupted", make)


@pytest.fixture(scope="session")
def resumed(interrupted: Ended, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Return the interrupted run after ``run --resume`` with fast calls."""

    def make() -> Ended:
        cwd = interrupted.copied(tmp_path_factory.mktemp("resumed"))
        (cwd / "quick").touch()
        return Ended(cwd, vitbench("run", "--resume", "run", cwd=cwd), none_left(cwd))

    return made_once(tmp_path_factory, "resumed", make)


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Start a run that measures slow rounds; yield its working directory and process."""
    with started(*command(*COMPARE), cwd=with_arms(tmp_path)) as process:
        wait_for((tmp_path / "under-way").exists, "rounds under way", process)
        yield tmp_path, process
