"""The gate as a program: the working tree against a revision, in real repositories."""

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import command, ended, environment, started, wait_for
from helpers.repositories import git, make_repository

pytestmark = pytest.mark.slow

# Works and sleeps by the smaller of the repeats from an early and a late import: a sleep is never
# shorter than requested, even on a busy machine.
WORK = """
import time
from torch import nn

from .numbers import REPEATS

class Work(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.linear, self.name = nn.Linear(64, 64), name

    def forward(self, x):
        from .numbers import REPEATS as late
        repeats = min(REPEATS[self.name], late[self.name])
        time.sleep(0.0005 * repeats)
        for _ in range(repeats):
            y = self.linear(x)
        return y

def slower(): return Work("slower")
def faster(): return Work("faster")
"""
WRONG = """
from .work import Work

class Scaled(Work):
    def forward(self, x):
        return super().forward(x) * 1.0

def make(): return Scaled("same")
"""
FRESH = "\ndef fresh(): return Work('same')\n"
PACKAGE = {
    ".gitignore": "__pycache__/\ntmp/\n",
    "layers/__init__.py": "",
    "layers/numbers.py": "REPEATS = {'same': 4, 'slower': 4, 'faster': 4}\n",
    "layers/work.py": WORK,
    "layers/wrong.py": WRONG,
    "layers/broken.py": "def make(): return abs\n",
    "src/outer/__init__.py": "",
    "src/outer/numbers.py": "REPEATS = {'same': 4}\n",
    "src/outer/work.py": WORK,
    "benchmarks.py": "from outer.work import Work\ndef make(): return Work('same')\n",
}
CHANGES = {
    "layers/numbers.py": "REPEATS = {'same': 4, 'slower': 16, 'faster': 1}\n",
    "layers/work.py": WORK + FRESH,
    "layers/wrong.py": WRONG.replace("1.0", "1.01"),
    "layers/broken.py": "raise ValueError('broken')\ndef make(): return abs\n",
    "layers/other.py": "from .work import fresh\n",
    "other.py": "from layers.work import fresh\n",
    "src/outer/numbers.py": "REPEATS = {'same': 16}\n",
}
NEW = ("layers.work:fresh", "layers.other:fresh", "other.py:fresh")
TARGETS = (
    *("layers.work:slower", "layers.work:faster", "layers.wrong:make", "layers.broken:make"),
    *("benchmarks.py:make", *NEW),
)
TARGET = ("--target", "layers.work:slower", "--input", "256,64")
# Far from every change above, so that one or two passes decide.
QUICK = ("--budget", "1m", "--passes", "1", "--threshold", "90%", "--no-lock")
ALONE = ("--budget", "1m", "--no-survey")


@dataclass(frozen=True)
class Gate:
    """Result of the gate on a repository: checks by target and metric, and the job summary."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    checks: dict[str, dict[str, Any]]
    summary: str


def regress(folder: Path, *arguments: str) -> Gate:
    """Run the gate with --json and a job summary, with src on the import path."""
    summary = folder / "tmp" / "summary.md"
    summary.unlink(missing_ok=True)
    given = {**environment(folder), "PYTHONPATH": "src", "GITHUB_STEP_SUMMARY": str(summary)}
    with started(*command("regress", *arguments, "--json"), cwd=folder, env=given) as process:
        done = ended(process)
    checks: dict[str, dict[str, Any]] = {}
    for check in map(json.loads, done.stdout.splitlines()):
        checks.setdefault(check["target"], {})[check["metric"]] = check
    return Gate(folder, done, checks, summary.read_text() if summary.exists() else "")


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Gate uncommitted changes of every kind against the last commit."""
    folder = make_repository(tmp_path_factory.mktemp("gate") / "project", PACKAGE)
    for name, text in CHANGES.items():
        (folder / name).write_text(text)
    targets = (word for target in TARGETS for word in ("--target", target))
    return regress(folder, "--base", "HEAD", *targets, "--input", "256,64", *QUICK)


def test_more_work_is_stopped(gate: Gate) -> None:
    """More work exits with code 1, and the summary's first line has the targets."""
    assert gate.done.returncode == 1, gate.done.stderr
    found = gate.checks["layers.work:slower"]
    assert (found["latency"]["outcome"], found["flops"]["outcome"]) == ("worse", "worse")
    assert found["flops"]["change"] == pytest.approx(3)
    first = gate.summary.splitlines()[0]
    assert first.startswith("**✗ Worse than at `HEAD`: layers.work:slower (latency)")
    assert "layers.work:slower (flops)" in first
    assert "- ✗ layers.work:slower, flops: " in gate.summary


def test_less_work_is_ok(gate: Gate) -> None:
    """Every check is ok with its numbers, and uncommitted changes are included."""
    found = gate.checks["layers.work:faster"]
    assert {each["outcome"] for each in found.values()} == {"ok"}
    assert found["latency"]["high"] < 0
    assert found["flops"]["change"] == pytest.approx(-0.75)
    assert found["parameters"]["before"] == found["parameters"]["after"] == 64 * 64 + 64
    assert "memory" in found


def test_other_results_are_stopped(gate: Gate) -> None:
    """A numeric error is worse, even if the arm is faster."""
    assert gate.checks["layers.wrong:make"]["numeric error"]["outcome"] == "worse"
    assert "layers.wrong:make (numeric error)" in gate.summary.splitlines()[0]


def test_imports_of_the_factory_are_the_bases_too(gate: Gate) -> None:
    """More work in a package that an unchanged factory imports is found."""
    found = gate.checks["benchmarks.py:make"]
    assert found["flops"]["change"] == pytest.approx(3)
    assert found["latency"]["outcome"] == "worse"


def test_a_target_that_does_not_import_is_unknown(gate: Gate) -> None:
    """Its check has outcome unknown with the reason."""
    (check,) = gate.checks["layers.broken:make"].values()
    assert check["outcome"] == "unknown"
    assert "broken" in check["reason"]


@pytest.mark.parametrize("target", NEW)
def test_targets_missing_in_the_base_are_new(gate: Gate, target: str) -> None:
    """A function, module or file missing in the base has outcome new."""
    (check,) = gate.checks[target].values()
    assert check["outcome"] == "new"


def test_nothing_is_left_in_the_repository(gate: Gate) -> None:
    """No worktree and no other change is left in the repository."""
    assert len(git(gate.folder, "worktree", "list").splitlines()) == 1
    changed = git(gate.folder, "status", "--short", "--untracked-files=all").splitlines()
    assert {line.split()[-1] for line in changed} == set(CHANGES)


def test_new_targets_alone_are_ok(gate: Gate) -> None:
    """With new targets only, the exit code is 0."""
    targets = (word for target in NEW for word in ("--target", target))
    done = regress(gate.folder, "--base", "HEAD", *targets, "--input", "256,64", *QUICK).done
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_an_unmeasurable_gate_exits_with_2(gate: Gate) -> None:
    """A tree that does not import exits with code 2."""
    broken = ("--target", "layers.broken:make", "--input", "256,64")
    found = regress(gate.folder, "--base", "HEAD", *broken, *QUICK, *ALONE)
    assert found.done.returncode == 2, found.done.stdout + found.done.stderr
    assert "Could not be measured" in found.summary


@pytest.mark.long
def test_max_error_sets_the_accepted_difference(tmp_path: Path) -> None:
    """--max-error may exceed the tolerance; without a survey other metrics are not gated."""
    near = {"layers/wrong.py": CHANGES["layers/wrong.py"]}
    folder = make_repository(tmp_path / "project", PACKAGE, near)
    asked = ("--target", "layers.wrong:make", "--input", "256,64", "--max-error", "0.05")
    gate = regress(folder, "--base", "HEAD~1", *asked, *QUICK, "--undecided", "ok", *ALONE)
    assert gate.done.returncode == 0, gate.done.stdout + gate.done.stderr
    found = gate.checks["layers.wrong:make"]
    assert set(found) == {"latency", "numeric error"}
    assert found["numeric error"]["outcome"] == "ok"
    assert found["numeric error"]["after"] == pytest.approx(0.01, rel=0.1)
    assert "numeric error 5.0e-02" in gate.summary
    assert "Not gated" in gate.summary
    assert len(git(folder, "worktree", "list").splitlines()) == 1


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """An interrupt leaves no worktree and no folder, and no advice to resume."""
    folder = make_repository(tmp_path / "project", PACKAGE)
    asked = command("regress", "--base", "HEAD", *TARGET, "--no-lock")
    with started(*asked, cwd=folder) as process:
        wait_for(lambda: list((folder / "tmp").glob("vitbench-*/2*/passes/*")), "a pass", process)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.returncode == 130, done.stderr
    assert "resume" not in done.stderr
    assert list((folder / "tmp").glob("vitbench-*")) == []
    assert len(git(folder, "worktree", "list").splitlines()) == 1
