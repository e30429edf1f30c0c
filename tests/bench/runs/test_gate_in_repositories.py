"""The gate as a program in the repositories that people have: hooks, moves, ignored files."""

import sys
from pathlib import Path

import pytest

from bench.machine.environment import git as commit_of_vitbench
from helpers.processes import vitbench
from helpers.repositories import WHO, commit, git, make_repository, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.endurance]

MAKE = "from torch import nn\n\n\ndef make():\n    return nn.Linear(64, 64)\n"
READS = """from pathlib import Path

from torch import nn


def make():
    width = int(Path(__file__).with_name("width.txt").read_text())
    return nn.Linear(width, width)
"""
QUICK = ("--input", "256,64", "--budget", "1m", "--passes", "1", "--threshold", "90%")
ALONE = ("--no-survey", "--no-lock", "--undecided", "ok")
HOOK = """#!/bin/sh
exec "{python}" -m bench regress --base HEAD~1 --target attn.py:make {options} > "{report}" 2>&1
"""


def gate(folder: Path, *words: str) -> tuple[int, str]:
    """Run the gate, which may not change anything, and return exit code and output."""
    before = snapshot(folder / ".git")
    done = vitbench("regress", *words, *QUICK, *ALONE, cwd=folder)
    assert snapshot(folder / ".git") == before
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("place", ["project", "linked"])
def test_the_gate_in_a_commit_hook_keeps_the_commit(tmp_path: Path, place: str) -> None:
    """The commit has the user's change alone; the report has his commit for the arms."""
    top = make_repository(tmp_path / "project", {"attn.py": MAKE}, {"notes.txt": "kept\n"})
    git(top, "worktree", "add", "--quiet", "-b", "topic", "../linked")
    folder, report = tmp_path / place, tmp_path / "report.txt"
    hook = top / ".git" / "hooks" / "pre-commit"
    options = " ".join((*QUICK, *ALONE))
    hook.write_text(HOOK.format(python=sys.executable, options=options, report=report))
    hook.chmod(0o755)
    parent = git(folder, "rev-parse", "HEAD")
    (folder / "attn.py").write_text(f"{MAKE}# a comment\n")
    git(folder, *WHO, "commit", "--quiet", "--all", "--message", "with the gate")
    assert git(folder, "show", "--format=", "--name-status") == "M\tattn.py"
    assert git(folder, "status", "--short") == ""
    assert len(git(top, "worktree", "list").splitlines()) == 2
    ours = commit_of_vitbench("rev-parse", "HEAD")
    expected = f"vitbench at {ours[:10] if ours else 'no commit'}"
    assert f"arms at commit {parent[:10]} with changes, {expected}" in report.read_text()


def test_a_failing_hook_does_not_stop_the_gate(tmp_path: Path) -> None:
    """As git-lfs leaves one where it is not installed."""
    folder = make_repository(tmp_path / "project", {"attn.py": MAKE})
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 2\n")
    hook.chmod(0o755)
    code, said = gate(folder, "--base", "HEAD", "--target", "attn.py:make")
    assert (code, "attn.py:make" in said) == (0, True)


@pytest.mark.parametrize("base", ["@", "@{u}", ":/a commit", "who@feature", "fix#2", "HEAD@{0}"])
def test_any_revision_is_measured(tmp_path: Path, base: str) -> None:
    """Its name is part of the base's name in every row."""
    make_repository(tmp_path / "up", {"attn.py": MAKE})
    git(tmp_path, "clone", "--quiet", "up", "clone")
    for name in ("who@feature", "fix#2"):
        git(tmp_path / "clone", "branch", name)
    code, said = gate(tmp_path / "clone", "--base", base, "--target", "attn.py:make")
    assert code == 0, said
    assert f"`{base}`" in said


def test_a_moved_target_is_compared_with_where_it_was(tmp_path: Path) -> None:
    """A move and a loss of speed in one change do not pass as new; one control serves both."""
    folder = make_repository(tmp_path / "project", {"attn.py": MAKE})
    git(folder, "mv", "attn.py", "layers.py")
    slow = MAKE.replace(
        "return nn.Linear(64, 64)", "return nn.Sequential(*[nn.Linear(64, 64)] * 9)"
    )
    commit(folder, {"layers.py": slow})
    code, said = gate(folder, "--base", "HEAD~1", "--target", "layers.py:make", "--allow-different")
    assert code == 1, said
    assert "- layers.py:make: at the base attn.py:make" in said
    renamed = MAKE.replace("make", "build")
    commit(folder, {"layers.py": renamed})
    both = ("--target", "layers.py:build", "--base-target", "attn.py:make")
    code, said = gate(folder, "--base", "HEAD~2", *both)
    assert code == 0, said
    assert "- layers.py:build: at the base attn.py:make" in said


def test_an_ignored_file_is_named_and_its_copy_measured(tmp_path: Path) -> None:
    """The advice of the first gate makes the second one work."""
    folder = make_repository(tmp_path / "project", {"attn.py": READS, ".gitignore": "width.txt\n"})
    (folder / "width.txt").write_text("64")
    target = ("--base", "HEAD", "--target", "attn.py:make")
    code, said = gate(folder, *target)
    assert (code, "width.txt is not in git" in said) == (2, True)
    code, said = gate(folder, *target, "--copy", "width.txt")
    assert code == 0, said
