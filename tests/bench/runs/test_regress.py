"""The gate as a program: this tree against a revision, in real repositories and processes."""

import json
import signal
import sys
from pathlib import Path

import pytest

from bench.usercode.imports import import_from
from helpers.processes import command, ended, environment, started, vitbench, wait_for
from helpers.repositories import git, make_repository

pytestmark = pytest.mark.slow

LAYER = """
import torch
from torch import nn

from .numbers import REPEATS

class Work(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        from .numbers import REPEATS as late
        for _ in range(min(REPEATS, late)):
            y = self.linear(x)
        return y

def make():
    return Work()
"""
PACKAGE = {"layers/__init__.py": "", "layers/work.py": LAYER, "layers/numbers.py": "REPEATS = 4\n"}
TARGET = ("--target", "layers.work:make", "--input", "256,64")
QUICK = ("--budget", "15s", "--passes", "1", "--no-lock")


def repository(folder: Path, repeats: int) -> Path:
    """A package whose last commit repeats its work so many times, instead of four."""
    return make_repository(folder, PACKAGE, {"layers/numbers.py": f"REPEATS = {repeats}\n"})


def test_twice_the_work_is_stopped(tmp_path: Path) -> None:
    """With exit code 1, Markdown that says so, and nothing left behind in the repository."""
    folder = repository(tmp_path / "project", 8)
    done = vitbench("regress", "--base", "HEAD~1", *TARGET, *QUICK, cwd=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("**✗ Worse than at `HEAD~1`: layers.work:make (latency)")
    assert "layers.work:make (flops)" in done.stdout.splitlines()[0]
    assert "- ✗ layers.work:make, flops: " in done.stdout
    assert len(git(folder, "worktree", "list").splitlines()) == 1


def test_what_is_not_committed_is_this_tree(tmp_path: Path) -> None:
    """Half of the work, as JSON: every check is ok, and the numbers are told."""
    folder = repository(tmp_path / "project", 8)
    (folder / "layers" / "numbers.py").write_text("REPEATS = 2\n")
    done = vitbench("regress", "--base", "HEAD", *TARGET, *QUICK, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["metric"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["latency"]["high"] < 0
    assert found["flops"]["change"] == pytest.approx(-0.75)
    assert found["parameters"]["before"] == found["parameters"]["after"] == 64 * 64 + 64
    assert found["memory"]["outcome"] == "ok"


def test_other_results_are_stopped(tmp_path: Path) -> None:
    """However fast they are."""
    wrong = {"layers/work.py": LAYER.replace("return y", "return y + 1")}
    folder = make_repository(tmp_path / "project", PACKAGE, wrong)
    done = vitbench("regress", "--base", "HEAD~1", *TARGET, *QUICK, cwd=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "(numeric error)" in done.stdout


def test_how_far_outputs_may_be_is_ones_own_choice(tmp_path: Path) -> None:
    """Further than the precision explains too; JSON leaves a job's summary as Markdown does."""
    near = {"layers/work.py": LAYER.replace("return y", "return y * 1.01")}
    folder = make_repository(tmp_path / "project", PACKAGE, near)
    asked = ("regress", "--base", "HEAD~1", *TARGET, *QUICK, "--max-error", "0.05", "--json")
    summary = folder / "tmp" / "summary.md"
    given = {**environment(folder), "GITHUB_STEP_SUMMARY": str(summary)}
    with started(
        *command(*asked, "--threshold", "90%", "--undecided", "ok"), cwd=folder, env=given
    ) as process:
        done = ended(process)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["metric"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["numeric error"]["outcome"] == "ok"
    assert found["numeric error"]["after"] == pytest.approx(0.01, rel=0.1)
    assert "numeric error 5.0e-02" in summary.read_text()


def test_what_cannot_be_made_is_not_measured(tmp_path: Path) -> None:
    """A tree that does not import ends with 2, and says why."""
    broken = {
        "layers/work.py": LAYER.replace("class Work", "raise ValueError('broken')\nclass Work")
    }
    folder = make_repository(tmp_path / "project", PACKAGE, broken)
    done = vitbench("regress", "--base", "HEAD~1", *TARGET, *QUICK, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Could not be measured" in done.stdout
    assert "broken" in done.stdout


@pytest.mark.parametrize("place", ["layers.work", "layers.other", "other.py"])
def test_what_is_new_cannot_be_worse(tmp_path: Path, place: str) -> None:
    """A function or a file that the base lacks: said, and no reason to stop a change."""
    other = {
        "layers/work.py": LAYER + "\ndef fresh():\n    return Work()\n",
        "layers/other.py": "from .work import fresh\n",
        "other.py": "from layers.work import fresh\n",
    }
    folder = make_repository(tmp_path / "project", PACKAGE, other)
    new = ("--target", f"{place}:fresh")
    done = vitbench("regress", "--base", "HEAD~1", *new, "--input", "256,64", *QUICK, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"**+ Nothing at `HEAD~1` to compare with: {place}:fresh")
    assert list((folder / "tmp").glob("vitbench-*")) == []


def test_what_is_new_stands_beside_what_is_not(tmp_path: Path) -> None:
    """The others are measured as ever."""
    fresh = {"layers/work.py": LAYER + "\ndef fresh():\n    return Work()\n"}
    folder = make_repository(tmp_path / "project", PACKAGE, fresh)
    new = ("--target", "layers.work:fresh", "--threshold", "90%")
    done = vitbench("regress", "--base", "HEAD~1", *TARGET, *new, *QUICK, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[0]["target"] == "layers.work:make"
    assert found[0]["before"] > 0
    assert [each["outcome"] for each in found if each["target"] == "layers.work:fresh"] == ["new"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--base", "nowhere", *TARGET), "revision 'nowhere' is unknown"),
        (("--base", "HEAD", "--targets", "atention"), "unknown target 'atention'"),
        (("--base", "HEAD", "--target", "json:loads", "--input", "1,8"), "not from"),
        (("--base", "HEAD", "--target", "layers.wrok:make", "--input", "1"), "wrok"),
        (("--base", "HEAD", "--input", "1,8"), "--input is only for --target"),
        (("--base", "HEAD", "--target", "layers.work:make"), "no inputs given"),
        (
            ("--base", "HEAD", "--target", "../mine.py:f", "--input", "1"),
            "not a path from here into",
        ),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """With exit code 2, before anything is measured."""
    folder = make_repository(tmp_path / "project", PACKAGE)
    (tmp_path / "mine.py").write_text("def f(): return abs\n")
    done = vitbench("regress", *arguments, cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr.splitlines()[-1]


def test_an_absolute_path_would_be_the_same_in_both_trees(tmp_path: Path) -> None:
    """It is refused, and not measured against itself."""
    folder = make_repository(tmp_path / "project", {"flat.py": "def f(): return abs\n"})
    target = f"{folder}/flat.py:f"
    done = vitbench("regress", "--base", "HEAD", "--target", target, "--input", "1", cwd=folder)
    assert done.returncode == 2
    assert "give it as a relative path" in done.stderr.splitlines()[-1]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Neither a worktree nor a folder, and no advice to go on with what is gone."""
    folder = repository(tmp_path / "project", 8)
    asked = command("regress", "--base", "HEAD~1", *TARGET, "--no-lock")
    with started(*asked, cwd=folder) as process:
        wait_for(lambda: list((folder / "tmp").glob("vitbench-*/2*/passes/*")), "a pass", process)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.returncode == 130, done.stderr
    assert "resume" not in done.stderr
    assert list((folder / "tmp").glob("vitbench-*")) == []
    assert len(git(folder, "worktree", "list").splitlines()) == 1


def test_two_versions_stand_side_by_side(tmp_path: Path) -> None:
    """Each with its own neighbours, late imports too; the tables of modules tell them apart."""
    trees = []
    for name, number in (("one", 1), ("two", 2)):
        files = PACKAGE | {"layers/numbers.py": f"REPEATS = {number}\n"}
        trees.append(make_repository(tmp_path / name, files))
    found = [import_from(tree, "layers.work") for tree in trees]
    assert [module.REPEATS for module in found] == [1, 2]
    assert found[0] is import_from(trees[0], "layers.work")
    assert "layers" not in sys.modules
    assert all(sys.modules[module.__name__] is module for module in found)
    assert found[0].Work is not found[1].Work


def test_a_package_beside_the_factory_is_the_bases_too(tmp_path: Path) -> None:
    """A factory of its own for the benchmark, and twice the work in the package that it imports."""
    outer = {name.replace("layers", "src/layers"): text for name, text in PACKAGE.items()}
    factory = {"benchmarks.py": "from layers.work import make\n"}
    twice = {"src/layers/numbers.py": "REPEATS = 8\n"}
    folder = make_repository(tmp_path / "project", outer | factory, twice)
    words = ("regress", "--base", "HEAD~1", "--target", "benchmarks.py:make", "--input", "256,64")
    asked = command(*words, *QUICK, "--json")
    with started(*asked, cwd=folder, env={**environment(folder), "PYTHONPATH": "src"}) as process:
        done = ended(process)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {each["metric"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["flops"]["change"] == pytest.approx(1)
    assert found["latency"]["low"] > 0.3


def test_a_target_that_no_tree_has_is_a_mistake(tmp_path: Path) -> None:
    """And not new for ever."""
    folder = make_repository(tmp_path / "project", PACKAGE)
    target = ("--target", "layers.work:mkae", "--input", "256,64")
    done = vitbench("regress", "--base", "HEAD", *target, *QUICK, cwd=folder)
    assert done.returncode == 2
    assert "has no 'mkae'; name a function that this tree has" in done.stderr.splitlines()[-1]
