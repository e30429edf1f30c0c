"""The gate and history workflows, run in a project of their own as a CI runner does."""

from pathlib import Path

import pytest

from helpers.repositories import commit, git, make_repository
from helpers.workflows import Runner

pytestmark = [pytest.mark.slow, pytest.mark.long]

LAYER = """
import time
from torch import nn

REPEATS = {repeats}

class Work(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        time.sleep(0.0005 * REPEATS)
        return self.linear(x)

def make():
    return Work()
"""
# Another job that pushes its own history once, just before this one.
OTHER = """#!/bin/sh
[ -e "$0.done" ] && exit 0
touch "$0.done"
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
git clone --quiet --branch history "$2" "$0.clone" && cd "$0.clone" &&
git -c user.name=Another -c user.email=another@example.org commit --quiet --allow-empty -m other &&
git push --quiet origin history
"""
INSTALL = {"inputs.install": "python -c 'import bench'"}


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """Return a clone of a project with a bare repository as its origin."""
    first = {"layers.py": LAYER.format(repeats=4), ".gitignore": "results/\n__pycache__/\n"}
    project = make_repository(tmp_path / "project", first)
    git(tmp_path, "clone", "--quiet", "--bare", str(project), "origin.git")
    git(tmp_path, "clone", "--quiet", "origin.git", "checkout")
    return tmp_path / "checkout"


def test_the_gate_stops_a_slower_change(checkout: Path, tmp_path: Path) -> None:
    """A slower change fails the step with a summary; the reverted change passes."""
    known = {
        **INSTALL,
        "github.base_ref": "main",
        "inputs.targets": "--target layers.py:make --input 256,64 --passes 1 --no-survey --no-lock",
        "inputs.budget": "30s",
        "inputs.threshold": "40%",
    }
    git(checkout, "switch", "--quiet", "-c", "change")
    for repeats, code in ((16, 1), (4, 0)):
        commit(checkout, {"layers.py": LAYER.format(repeats=repeats), "CHANGES": str(repeats)})
        runner = Runner(checkout, tmp_path / f"runner-{repeats}", known)
        done = runner.run("gate.yml", "gate")
        assert done.returncode == code, done.stdout + done.stderr
        first = runner.summary.read_text().splitlines()[0]
        assert first.startswith("**✗ Worse than at `origin/main`: layers.py:make") is bool(code)


def test_every_push_goes_into_the_history(checkout: Path, tmp_path: Path) -> None:
    """History and chart are on a branch of their own, also after a concurrent push."""
    measure = "compare layers.py:make layers.py:make#2 --input 256,64 --passes 1 --no-survey"
    measure += " --budget 1s"
    for number in range(2):
        commit(checkout, {"CHANGES": str(number)})
        head = git(checkout, "rev-parse", "HEAD")
        if number:
            hook = checkout / ".git" / "hooks" / "pre-push"
            hook.write_text(OTHER)
            hook.chmod(0o755)
        known = {**INSTALL, "inputs.measure": f"{measure} --no-lock", "GITHUB_SHA": head}
        runner = Runner(checkout, tmp_path / f"runner-{number}", known)
        done = runner.run("history.yml", "history")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "lasting change" in runner.summary.read_text()
        kept = tmp_path / f"runner-{number}" / "temp" / "history"
        git(checkout, "worktree", "remove", "--force", str(kept))
    git(checkout, "fetch", "--quiet", "origin", "history")
    assert git(checkout, "ls-tree", "--name-only", "FETCH_HEAD").split() == [
        "history.csv",
        "trend.png",
        "trend.svg",
    ]
    said = git(checkout, "log", "--format=%s", "FETCH_HEAD").splitlines()
    assert [each.partition(" ")[0] for each in said] == ["History", "other", "History"]
    lines = git(checkout, "show", "FETCH_HEAD:history.csv").splitlines()
    commits = {head[:10] for head in git(checkout, "log", "--format=%H", "-2").split()}
    assert all(any(head in line for line in lines[1:]) for head in commits)
    assert git(checkout, "status", "--short") == ""
