"""bench.runs.worktrees: revisions checked out beside the working tree."""

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


def test_a_revision_is_checked_out_beside_the_tree(repository: Path) -> None:
    """The worktree has the commit; uncommitted changes of the tree are kept."""
    (repository / "a.py").write_text("A = 3\n")
    with checked_out(repository, commit_of(repository, "HEAD~1")) as base:
        assert (base / "a.py").read_text() == "A = 1\n"
        assert (repository / "a.py").read_text() == "A = 3\n"
    assert not base.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_the_worktree_is_always_removed(repository: Path) -> None:
    """The worktree is removed even if its block raises."""
    with (
        pytest.raises(KeyboardInterrupt),
        checked_out(repository, commit_of(repository, "HEAD")) as base,
    ):
        raise KeyboardInterrupt
    assert not base.parent.exists()


@pytest.mark.parametrize("revision", ["nowhere", "--help", "HEAD~9", ""])
def test_an_unknown_revision_is_refused(repository: Path, revision: str) -> None:
    """The error has the remedy for shallow clones in CI."""
    with pytest.raises(InputError, match=r"is unknown in .*fetch-depth"):
        commit_of(repository, revision)


def test_a_folder_outside_a_repository_is_refused(tmp_path: Path) -> None:
    """A folder outside a git repository is refused."""
    with pytest.raises(InputError, match="is not in a git repository"):
        repository_of(tmp_path)


def test_the_top_is_found_from_anywhere(repository: Path) -> None:
    """The repository is found from any folder inside it."""
    inside = repository / "deep" / "er"
    inside.mkdir(parents=True)
    assert repository_of(inside) == repository.resolve()


def test_worktrees_of_killed_processes_are_removed(repository: Path, tmp_path: Path) -> None:
    """Worktrees of living processes and of the user are kept."""
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


def test_head_and_changes(repository: Path, tmp_path: Path) -> None:
    """Outside a repository, or without a commit, HEAD is None and no changes are reported."""
    assert head_of(repository) == commit_of(repository, "HEAD")
    assert head_of(tmp_path) is None
    assert not has_changes(repository)
    assert not has_changes(tmp_path)
    assert head_of(make_repository(tmp_path / "empty")) is None
    changed = next(path for path in repository.iterdir() if path.is_file())
    changed.write_text("something else")
    assert has_changes(repository)


def test_a_hook_of_the_repository_keeps_its_commit(repository: Path, tmp_path: Path) -> None:
    """A worktree made in a commit hook leaves the hook's index and folder unchanged."""
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
