"""bench.runner.trees: revisions beside the working tree, from real repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.record import InputError
from bench.runner.trees import checked_out, commit_of, has_changes, head_of, repository_of
from repositories import GIT, git, make_repository


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"a.py": "A = 1\n"}, {"a.py": "A = 2\n"})


def test_a_revision_stands_beside_the_tree(repository: Path, tmp_path: Path) -> None:
    """As it was committed; the tree keeps what it has, also what is not committed."""
    (repository / "a.py").write_text("A = 3\n")
    with checked_out(repository, commit_of(repository, "HEAD~1"), tmp_path / "base") as base:
        assert (base / "a.py").read_text() == "A = 1\n"
        assert (repository / "a.py").read_text() == "A = 3\n"
    assert not base.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_it_is_taken_away_whatever_happens(repository: Path, tmp_path: Path) -> None:
    """Also where what was done with it failed."""
    with (
        pytest.raises(KeyboardInterrupt),
        checked_out(repository, commit_of(repository, "HEAD"), tmp_path / "base"),
    ):
        raise KeyboardInterrupt
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("revision", ["nowhere", "--help", "HEAD~9", ""])
def test_an_unknown_revision_is_told(repository: Path, revision: str) -> None:
    """With what to do in CI, where history is often left out."""
    with pytest.raises(InputError, match=r"is unknown in .*fetch-depth"):
        commit_of(repository, revision)


def test_a_folder_without_history_is_told(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    with pytest.raises(InputError, match="is in no git repository"):
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
    with checked_out(repository, commit_of(repository, "HEAD"), tmp_path / "base"):
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
