"""The gate as a program: this tree against a revision, in real repositories and processes."""

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

# Repeats its work as often as both its own import and a late one say, and sleeps as long: a sleep
# is never shorter than asked for, however busy the machine is.
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
# Far from every change above, so that one pass or two decide.
QUICK = ("--budget", "2m", "--passes", "1", "--threshold", "90%", "--no-lock")
ALONE = ("--budget", "1m", "--no-survey")


@dataclass(frozen=True)
class Gate:
    """What the gate said of a repository: its checks by target and metric, and a job's summary."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    checks: dict[str, dict[str, Any]]
    summary: str


def regress(folder: Path, *arguments: str) -> Gate:
    """Run the gate as JSON in a job that keeps a summary; the package in src can be imported."""
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
    """A tree with changes of every kind, none of them committed, against its last commit."""
    folder = make_repository(tmp_path_factory.mktemp("gate") / "project", PACKAGE)
    for name, text in CHANGES.items():
        (folder / name).write_text(text)
    targets = (word for target in TARGETS for word in ("--target", target))
    return regress(folder, "--base", "HEAD", *targets, "--input", "256,64", *QUICK)


def test_more_work_is_stopped(gate: Gate) -> None:
    """With exit code 1, and Markdown that says so first."""
    assert gate.done.returncode == 1, gate.done.stderr
    found = gate.checks["layers.work:slower"]
    assert (found["latency"]["outcome"], found["flops"]["outcome"]) == ("worse", "worse")
    assert found["flops"]["change"] == pytest.approx(3)
    first = gate.summary.splitlines()[0]
    assert first.startswith("**✗ Worse than at `HEAD`: layers.work:slower (latency)")
    assert "layers.work:slower (flops)" in first
    assert "- ✗ layers.work:slower, flops: " in gate.summary


def test_less_work_is_not(gate: Gate) -> None:
    """Every check is ok, with its numbers; what is not committed belongs to this tree."""
    found = gate.checks["layers.work:faster"]
    assert {each["outcome"] for each in found.values()} == {"ok"}
    assert found["latency"]["high"] < 0
    assert found["flops"]["change"] == pytest.approx(-0.75)
    assert found["parameters"]["before"] == found["parameters"]["after"] == 64 * 64 + 64
    assert "memory" in found


def test_other_results_are_stopped(gate: Gate) -> None:
    """However fast they are."""
    assert gate.checks["layers.wrong:make"]["numeric error"]["outcome"] == "worse"
    assert "layers.wrong:make (numeric error)" in gate.summary.splitlines()[0]


def test_a_package_beside_the_factory_is_the_bases_too(gate: Gate) -> None:
    """The factory is as it was; what it imports from elsewhere in the repository does more work."""
    found = gate.checks["benchmarks.py:make"]
    assert found["flops"]["change"] == pytest.approx(3)
    assert found["latency"]["outcome"] == "worse"


def test_what_cannot_be_made_is_unknown(gate: Gate) -> None:
    """A target that does not import says why, and the others are measured all the same."""
    (check,) = gate.checks["layers.broken:make"].values()
    assert check["outcome"] == "unknown"
    assert "broken" in check["reason"]


@pytest.mark.parametrize("target", NEW)
def test_what_is_new_stands_beside_what_is_not(gate: Gate, target: str) -> None:
    """A function, a module or a file that the base lacks is said to be new."""
    (check,) = gate.checks[target].values()
    assert check["outcome"] == "new"


def test_nothing_is_left_in_the_repository(gate: Gate) -> None:
    """No worktree, and no change but the user's own."""
    assert len(git(gate.folder, "worktree", "list").splitlines()) == 1
    changed = git(gate.folder, "status", "--short", "--untracked-files=all").splitlines()
    assert {line.split()[-1] for line in changed} == set(CHANGES)


def test_what_is_new_alone_cannot_be_worse(gate: Gate) -> None:
    """No reason to stop a change; nothing is measured."""
    targets = (word for target in NEW for word in ("--target", target))
    done = regress(gate.folder, "--base", "HEAD", *targets, "--input", "256,64", *QUICK).done
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_measured_has_a_code_of_its_own(gate: Gate) -> None:
    """A tree that does not import ends with 2."""
    broken = ("--target", "layers.broken:make", "--input", "256,64")
    found = regress(gate.folder, "--base", "HEAD", *broken, *QUICK, *ALONE)
    assert found.done.returncode == 2, found.done.stdout + found.done.stderr
    assert "Could not be measured" in found.summary


def test_how_far_outputs_may_be_is_ones_own_choice(tmp_path: Path) -> None:
    """Further than the precision explains too; without a survey the rest is not gated."""
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
    """Neither a worktree nor a folder, and no advice to go on with what is gone."""
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
