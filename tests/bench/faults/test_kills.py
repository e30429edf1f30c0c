"""Repeated kills of a run lose no measurement and repeat none."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.files.results_csv import read_csv
from bench.files.run_folder import read_plan
from helpers.journals import read_samples
from helpers.processes import (
    Ended,
    command,
    ended,
    none_left,
    started,
    vitbench,
    wait_for,
    with_arms,
)

pytestmark = [pytest.mark.slow, pytest.mark.long]

PASSES = 2
# A control and two candidates. Named arms are measured in the planned passes only.
HOW = ("--cache", "warm", "--passes", str(PASSES), "--budget", "1s", "--out", "run")
OWN = ("compare", *["arms.py:right"] * 3, "--input", "2,8", "--no-survey", *HOW)
VITCORE = tuple(
    f"vitcore:attention={name},variant=B/32,image_size=32" for name in ("mha", "sdpa", "manual")
)
RESUME = ("run", "--resume", "run")


class Killer:
    """Starts the program in a folder and kills it at random moments."""

    def __init__(self, cwd: Path, seed: int) -> None:
        self.cwd, self.chance = cwd, random.Random(seed)  # noqa: S311 (random moments, not secrets)
        self.journal = cwd / "run" / "journal.jsonl"
        self.kills = self.cuts = 0

    def is_done_after(self, words: tuple[str, ...], longest_s: float) -> bool:
        """Return whether the program finished before it and its pass were killed."""
        with started(*command(*words), cwd=self.cwd) as process:
            self._wait(process, longest_s)
            if process.poll() is not None:
                assert ended(process).returncode == 0
                return True
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert none_left(self.cwd)
        self.kills += 1
        if self.chance.random() < 0.5:
            self._cut()
        return False

    def _wait(self, process: subprocess.Popen[str], longest_s: float) -> None:
        """Wait a random time, or until the journal has grown by a random size."""
        if self.chance.random() < 0.3:
            size = self._size() + self.chance.randrange(4000)
            wait_for(lambda: process.poll() is not None or self._size() > size, "a longer journal")
            return
        until_s = time.monotonic() + self.chance.uniform(0, longest_s)
        wait_for(lambda: process.poll() is not None or time.monotonic() > until_s, "the moment")

    def _size(self) -> int:
        return self.journal.stat().st_size if self.journal.exists() else 0

    def _cut(self) -> None:
        """Cut the journal's last line at a random place, as a power loss does."""
        if not self._size():
            return
        text = self.journal.read_bytes()
        start = text.rstrip(b"\n").rfind(b"\n") + 1
        self.journal.write_bytes(text[: self.chance.randrange(start, len(text))])
        self.cuts += 1


def undisturbed(cwd: Path, words: tuple[str, ...]) -> tuple[set[tuple[str, int]], float]:
    """Return the samples of an uninterrupted run as (key, pass), and its seconds."""
    start_s = time.monotonic()
    assert vitbench(*words, cwd=with_arms(cwd)).returncode == 0
    seconds = time.monotonic() - start_s
    return {(each.key, each.pass_index) for each in read_samples(cwd / "run")}, seconds


def check_complete(cwd: Path, expected: set[tuple[str, int]]) -> None:
    """Check that every comparison was measured exactly once in every planned pass."""
    run = cwd / "run"
    planned = {(c.key, index) for c in read_plan(run).comparisons for index in range(PASSES)}
    assert planned == expected
    found = Counter((each.key, each.pass_index) for each in read_samples(run))
    assert set(found) == expected
    assert Counter(_written(run)) == found
    assert {(row.status, row.passes) for row in read_csv(run / "results.csv")} == {("ok", PASSES)}
    assert len(read_csv(run / "results.csv")) == len(expected) / PASSES


def _written(run: Path) -> list[tuple[str, int]]:
    """Return the samples in the journal's complete lines, independently of its reader."""
    found = []
    for line in (run / "journal.jsonl").read_text(errors="replace").splitlines():
        if '"kind": "sample"' in line and line.endswith('"}'):
            event = json.loads(line)
            found.append((event["key"], event["pass_index"]))
    return found


@pytest.mark.parametrize(
    ("kills", "words"),
    [
        pytest.param(3, OWN, marks=pytest.mark.long, id="3"),
        pytest.param(8, OWN, marks=pytest.mark.endurance, id="8"),
        pytest.param(20, ("compare", *VITCORE, *HOW), marks=pytest.mark.endurance, id="20"),
    ],
)
def test_a_run_survives_any_number_of_kills(
    kills: int, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A run killed at random moments, with lines cut in half, ends complete."""
    expected, seconds = undisturbed(tmp_path_factory.mktemp("undisturbed"), words)
    killers: list[Killer] = []
    while sum(killer.kills for killer in killers) < kills:
        killer = Killer(with_arms(tmp_path_factory.mktemp("killed")), seed=len(killers))
        killers.append(killer)
        complete(killer, words, seconds)
        check_complete(killer.cwd, expected)
        check_report(killer.cwd)
    assert sum(killer.cuts for killer in killers) > 0


def complete(killer: Killer, run: tuple[str, ...], seconds: float) -> None:
    """Start a run and resume it after each kill until it finishes."""
    done = False
    while not done:
        words = RESUME if (killer.cwd / "run").exists() else run
        done = killer.is_done_after(words, 1.1 * seconds)


def check_report(cwd: Path) -> None:
    """Check that ``report`` recreates the same CSV from the journal alone."""
    path = cwd / "run" / "results.csv"
    before = path.read_bytes()
    path.unlink()
    assert vitbench("report", "run", cwd=cwd).returncode == 0
    assert path.read_bytes() == before


def test_a_kill_within_a_group_costs_that_group_only(interrupted: Ended, tmp_path: Path) -> None:
    """The pass before is kept to the byte; the group under way is measured again, once."""
    cwd = interrupted.copied(tmp_path)
    kept, journal = read_samples(cwd / "run"), cwd / "run" / "journal.jsonl"
    before = journal.read_bytes()
    (cwd / "under-way").unlink()
    with started(*command(*RESUME), cwd=cwd) as process:
        wait_for((cwd / "under-way").exists, "rounds under way", process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert none_left(cwd)
    assert read_samples(cwd / "run") == kept
    (cwd / "quick").touch()
    assert vitbench(*RESUME, cwd=cwd).returncode == 0
    assert journal.read_bytes().startswith(before)
    found = read_samples(cwd / "run")
    assert found[:2] == kept
    assert [(each.pass_index, bool(each.arm_s)) for each in found[2:]] == [(1, True)] * 2
