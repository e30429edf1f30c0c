"""vitbench regress: one-line refusals before any measurement."""

from pathlib import Path

import pytest

from helpers.processes import vitbench
from helpers.repositories import make_repository

pytestmark = pytest.mark.slow

PACKAGE = {"layers/__init__.py": "", "layers/work.py": "def make(): return abs\n"}
TARGET = ("--target", "layers.work:make", "--input", "256,64")


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
def test_invalid_gates_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Invalid arguments are refused with exit code 2 before any measurement."""
    folder = make_repository(tmp_path / "project", PACKAGE)
    (tmp_path / "mine.py").write_text("def f(): return abs\n")
    done = vitbench("regress", *arguments, cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr.splitlines()[-1]


def test_an_absolute_path_is_refused(tmp_path: Path) -> None:
    """An absolute path would be the same file in both trees."""
    folder = make_repository(tmp_path / "project", {"flat.py": "def f(): return abs\n"})
    target = f"{folder}/flat.py:f"
    done = vitbench("regress", "--base", "HEAD", "--target", target, "--input", "1", cwd=folder)
    assert done.returncode == 2
    assert "give it as a relative path" in done.stderr.splitlines()[-1]


def test_a_target_of_neither_tree_is_refused(tmp_path: Path) -> None:
    """A target missing in both trees is an error, not a new target."""
    folder = make_repository(tmp_path / "project", PACKAGE)
    target = ("--target", "layers.work:mkae", "--input", "256,64")
    done = vitbench("regress", "--base", "HEAD", *target, cwd=folder)
    assert done.returncode == 2
    assert "has no 'mkae'; name a function that this tree has" in done.stderr.splitlines()[-1]
