"""bench.runs.worktrees: revisions beside the working tree, from real repositories."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.worktrees import checked_out, commit_of, has_changes, head_of, repository_of
from helpers.repositories import GIT, WHO, git, make_repository

ROOT = Path(__file__).parents[3]
HOOK = """#!{python}
import sys
from pathlib import Path

sys.path.insert(0, "{root}")
from bench.runs.worktrees import checked_out, commit_of, has_changes, repository_of

top, place = repository_of(Path.cwd()), Path("{folder}")
has_changes(top)
with checked_out(top, commit_of(top, "HEAD~1")) as base:
    (place / "found").write_text((base / "a.py").read_text())
"""


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"a.py": "A = 1\n"}, {"a.py": "A = 2\n"})


def test_a_revision_stands_beside_the_tree(repository: Path) -> None:
    """As it was committed; the tree keeps what it has, also what is not committed."""
    (repository / "a.py").write_text("A = 3\n")
    with checked_out(repository, commit_of(repository, "HEAD~1")) as base:
        assert (base / "a.py").read_text() == "A = 1\n"
        assert (repository / "a.py").read_text() == "A = 3\n"
    assert not base.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_it_is_taken_away_whatever_happens(repository: Path) -> None:
    """Also where what was done with it failed."""
    with (
        pytest.raises(KeyboardInterrupt),
        checked_out(repository, commit_of(repository, "HEAD")) as base,
    ):
        raise KeyboardInterrupt
    assert not base.parent.exists()


@pytest.mark.parametrize("revision", ["nowhere", "--help", "HEAD~9", ""])
def test_an_unknown_revision_is_told(repository: Path, revision: str) -> None:
    """With what to do in CI, where history is often left out."""
    with pytest.raises(InputError, match=r"is unknown in .*fetch-depth"):
        commit_of(repository, revision)


def test_a_folder_without_history_is_told(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    with pytest.raises(InputError, match="is not in a git repository"):
        repository_of(tmp_path)


def test_the_top_is_found_from_anywhere(repository: Path) -> None:
    """One need not stand in the top folder."""
    inside = repository / "deep" / "er"
    inside.mkdir(parents=True)
    assert repository_of(inside) == repository.resolve()


def test_those_of_killed_processes_are_taken_away(repository: Path, tmp_path: Path) -> None:
    """And no others: neither those of living processes nor a user's own."""
    with subprocess.Popen([GIT, "--version"], stdout=subprocess.DEVNULL) as process:
        process.wait()
    places = {
        name: tmp_path / name / "base"
        for name in (
            f"vitbench-regress-{process.pid}-abc",
            f"vitbench-regress-{os.getpid()}-abc",
            "mine",
        )
    }
    for place in places.values():
        add = [GIT, "worktree", "add", "--quiet", "--detach", str(place)]
        subprocess.run(add, cwd=repository, check=True)
    with checked_out(repository, commit_of(repository, "HEAD")):
        pass
    assert [place.exists() for place in places.values()] == [False, True, True]
    assert len(git(repository, "worktree", "list").splitlines()) == 3


def test_what_is_checked_out(repository: Path, tmp_path: Path) -> None:
    """Outside of any repository nothing is, and in one without a commit."""
    assert head_of(repository) == commit_of(repository, "HEAD")
    assert head_of(tmp_path) is None
    assert not has_changes(repository)
    assert not has_changes(tmp_path)
    assert head_of(make_repository(tmp_path / "empty")) is None
    changed = next(path for path in repository.iterdir() if path.is_file())
    changed.write_text("something else")
    assert has_changes(repository)


def test_a_hook_of_the_repository_keeps_its_commit(repository: Path, tmp_path: Path) -> None:
    """A commit hook hands on its index and folder: a worktree made in it leaves both alone."""
    (repository / "b.py").write_text("B = 1\n")
    (repository / "a.py").write_text("A = 3\n")
    hook, found = repository / ".git" / "hooks" / "pre-commit", tmp_path / "found"
    hook.write_text(HOOK.format(python=sys.executable, root=ROOT, folder=tmp_path))
    hook.chmod(0o755)
    git(repository, "add", "a.py", "b.py")
    git(repository, *WHO, "commit", "--quiet", "--message", "with a hook", "a.py")
    assert git(repository, "show", "--format=", "--name-status") == "M\ta.py"
    assert git(repository, "show", "HEAD:a.py") == "A = 3"
    assert git(repository, "status", "--short") == "A  b.py"
    assert found.read_text() == "A = 1\n"
