"""bench.runs.repositories: a user's repository, and what git says about it."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.repositories import (
    commit_of,
    has_changes,
    head_of,
    refusal,
    remark_on,
    repository_of,
)
from helpers.repositories import GIT, WHO, commit, git, make_repository, snapshot

REVISIONS = (
    *("main", "@", "@~0", "HEAD@{0}", "main@{0}", "@{u}", "HEAD^{/first}", ":/first", "HEAD^0"),
    *("who@feature", "v1@rc", "fix#2", "heads/main", "HEAD^{}", "v1@rc^{commit}", "a|b", "größe"),
)


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"a.py": "A = 1\n"}, {"a.py": "A = 2\n"})


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """Clone a repository of one commit, and give the commit several names."""
    up = make_repository(tmp_path / "up")
    (up / "a.py").write_text("A = 1\n")
    git(up, "add", "-A")
    git(up, *WHO, "commit", "--quiet", "-m", "first: attention")
    git(tmp_path, "clone", "--quiet", "up", "clone")
    clone = tmp_path / "clone"
    for name in ("who@feature", "fix#2", "a|b", "größe"):
        git(clone, "branch", name)
    git(clone, *WHO, "tag", "-a", "-m", "a tag", "v1@rc")
    return clone


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_that_git_knows_is_taken(clone: Path, revision: str) -> None:
    """Branches and tags with unusual names, the log of a branch, and the text of a message."""
    before = snapshot(clone)
    assert commit_of(clone, revision) == git(clone, "rev-parse", "HEAD")
    assert snapshot(clone) == before


@pytest.mark.parametrize("revision", ["nowhere", "--help", "HEAD~9", "", ":/nothing", "@{-1}"])
def test_an_unknown_revision_is_refused(repository: Path, revision: str) -> None:
    """The error has the remedy for shallow clones in CI."""
    with pytest.raises(InputError, match=r"is unknown in .*fetch-depth"):
        commit_of(repository, revision)


@pytest.mark.parametrize("revision", ["HEAD:a.py", "HEAD^{tree}"])
def test_a_file_or_folder_of_a_revision_is_refused(repository: Path, revision: str) -> None:
    """It is an object, but no commit."""
    with pytest.raises(InputError, match=r"is no commit in .*; give a branch"):
        commit_of(repository, revision)


def test_a_shallow_clone_is_named(repository: Path, tmp_path: Path) -> None:
    """The remedy is the command that gets the history."""
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    with pytest.raises(InputError, match="this clone is shallow, and git fetch --unshallow"):
        commit_of(tmp_path / "shallow", "HEAD~1")


def test_an_ambiguous_name_is_remarked(repository: Path) -> None:
    """Git takes the tag and warns; the warning is passed on."""
    git(repository, "branch", "v1")
    git(repository, "tag", "v1", "HEAD~1")
    assert commit_of(repository, "v1") == git(repository, "rev-parse", "HEAD~1")
    assert remark_on(repository, "v1") == "refname 'v1' is ambiguous."
    assert remark_on(repository, "main") is None
    assert remark_on(repository, "nowhere") is None


def test_a_folder_outside_a_repository_is_refused(tmp_path: Path) -> None:
    """A folder outside a git repository is refused; nothing is wrong with it otherwise."""
    with pytest.raises(InputError, match="is not in a git repository"):
        repository_of(tmp_path)
    assert refusal(tmp_path) is None


@pytest.mark.parametrize("inside", [".git", "../bare"])
def test_a_repository_without_a_working_tree_is_refused(repository: Path, inside: str) -> None:
    """A bare repository has nothing to measure; the remedy makes a working tree."""
    git(repository, "clone", "--quiet", "--bare", ".", "../bare")
    with pytest.raises(InputError, match=r"without a working tree .*git worktree add"):
        repository_of(repository / inside)


def test_the_top_is_found_from_anywhere(repository: Path) -> None:
    """The repository is found from any folder inside it, also with blanks at its end."""
    odd = make_repository(repository.parent / "odd name ")
    for top in (repository, odd):
        inside = top / "deep" / "er"
        inside.mkdir(parents=True)
        assert repository_of(inside) == top.resolve()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to another user")
def test_a_repository_of_another_user_has_the_reason_and_cure_of_git(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root in a container: the cure of the message works, and so does the environment."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 1000, 1000)
    with pytest.raises(InputError, match=r"detected dubious ownership .*; git config --global"):
        repository_of(repository)
    said = refusal(repository)
    assert said is not None
    assert head_of(repository) is None
    with monkeypatch.context() as container:
        for name, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")):
            container.setenv(f"GIT_CONFIG_{name}", value)
        assert repository_of(repository) == repository.resolve()
    subprocess.run(["/bin/sh", "-c", said.partition("; ")[2]], check=True)
    assert repository_of(repository) == repository.resolve()
    assert refusal(repository) is None


def test_a_linked_worktree_without_its_repository_is_named(repository: Path) -> None:
    """In a container that has the worktree alone, the reason is the path that is not there."""
    linked = repository.parent / "linked"
    git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    repository.rename(repository.parent / "elsewhere")
    with pytest.raises(InputError, match=r"not a git repository: .*project/\.git/worktrees"):
        repository_of(linked)
    assert "not a git repository" in str(refusal(linked))


def test_head_and_changes(repository: Path, tmp_path: Path) -> None:
    """Outside a repository, or without a commit, HEAD is None and no changes are reported."""
    assert head_of(repository) == commit_of(repository, "HEAD")
    assert head_of(tmp_path) is None
    assert not has_changes(repository)
    assert not has_changes(tmp_path)
    assert head_of(make_repository(tmp_path / "empty")) is None
    assert refusal(tmp_path / "empty") is None
    changed = next(path for path in repository.iterdir() if path.is_file())
    changed.write_text("something else")
    assert has_changes(repository)
    commit(repository, {})
    assert not has_changes(repository)
    assert refusal(repository) is None


def test_a_repository_of_a_missing_git_is_not_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparisons without a revision do not need git."""
    monkeypatch.setenv("PATH", str(Path(GIT).parent / "nowhere"))
    assert refusal(repository) is None
    assert remark_on(repository, "main") is None
