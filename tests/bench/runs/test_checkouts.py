"""bench.runs.checkouts: the files of a commit, as the user's own checkout would have them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.checkouts import fill
from bench.runs.repositories import commit_of
from helpers.repositories import GIT, WHO, commit, git, make_repository, snapshot

LOCAL = ("-c", "protocol.file.allow=always")


def texts(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder without those of git."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder): path.read_bytes() for path in files}
    return {str(path): text for path, text in found.items() if ".git" not in path.parts}


def filled(repository: Path, revision: str = "HEAD") -> Path:
    """Check out a revision beside a repository; nothing in the repository may change."""
    before, folder = snapshot(repository), repository.parent / f"base-{revision}-{repository.name}"
    base = folder / "base"
    fill(repository, commit_of(repository, revision), base, base / ".git")
    assert snapshot(repository) == before
    return base


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    files = {"a.py": "A = 1\n", "inner/b c.py": "B = 1\n", "größe \"'\\.py": "C = 1\n"}
    return make_repository(tmp_path / "pro ject\"#'", files, {"a.py": "A = 2\n"})


def linked(repository: Path) -> Path:
    """Return a linked worktree of a repository."""
    git(repository, "worktree", "add", "--quiet", "--detach", "../linked")
    return repository.parent / "linked"


def of_bare(repository: Path) -> Path:
    """Return a worktree of a bare clone."""
    git(repository, "clone", "--quiet", "--bare", ".", "../bare")
    git(repository.parent / "bare", "worktree", "add", "--quiet", "--detach", "../of-bare")
    return repository.parent / "of-bare"


def shared(repository: Path) -> Path:
    """Return a clone that borrows its objects."""
    git(repository, "clone", "--quiet", "--shared", ".", "../shared")
    return repository.parent / "shared"


def separate(repository: Path) -> Path:
    """Return a clone whose ``.git`` is a file."""
    git(repository, "clone", "--quiet", "--separate-git-dir=../apart.git", ".", "../separate")
    return repository.parent / "separate"


def shallow(repository: Path) -> Path:
    """Return a clone without the first commit, which it then fetches alone."""
    url = f"file://{repository}"
    git(repository, "clone", "--quiet", "--depth=1", url, "../shallow")
    clone = repository.parent / "shallow"
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(clone, "fetch", "--quiet", "--depth=1", url, git(repository, "rev-parse", "HEAD~1"))
    git(clone, "tag", "first", "FETCH_HEAD")
    return clone


@pytest.mark.parametrize("kind", [lambda each: each, linked, of_bare, shared, separate])
def test_the_files_are_those_of_the_commit(repository: Path, kind: Callable[[Path], Path]) -> None:
    """Whatever kind of repository, and whatever the letters of its path and names."""
    base = filled(kind(repository), "HEAD~1")
    assert texts(base) == {
        "a.py": b"A = 1\n",
        "inner/b c.py": b"B = 1\n",
        "größe \"'\\.py": b"C = 1\n",
    }
    assert git(base, "status", "--short") == ""
    assert git(base, "rev-parse", "HEAD") == git(repository, "rev-parse", "HEAD~1")


def test_a_shallow_clone_has_what_it_fetched(repository: Path) -> None:
    """A commit without its parents is checked out, and its log ends there."""
    base = filled(shallow(repository), "first")
    assert (base / "a.py").read_text() == "A = 1\n"
    assert git(base, "log", "--format=%s") == "a commit"


def test_a_partial_clone_gets_what_it_lacks(repository: Path) -> None:
    """What is fetched for the base is written to the base's own repository."""
    git(repository, "config", "uploadpack.allowFilter", "true")
    url = f"file://{repository}"
    git(repository, "clone", "--quiet", "--filter=blob:none", url, "../partial")
    base = filled(repository.parent / "partial", "HEAD~1")
    assert (base / "a.py").read_text() == "A = 1\n"


def test_tags_describe_the_base(repository: Path) -> None:
    """Packages that ask git for their version find the tags."""
    git(repository, *WHO, "tag", "-a", "-m", "a tag", "v1", "HEAD~1")
    assert git(filled(repository), "describe").startswith("v1-1-g")


def test_line_ends_and_filters_are_the_users(repository: Path) -> None:
    """Settings, attributes of the repository and of the clone, and sparse patterns."""
    git(repository, "config", "core.autocrlf", "true")
    git(repository, "config", "filter.loud.smudge", "tr a-z A-Z")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("*.txt filter=loud\n")
    commit(repository, {"c.txt": "text\n", ".gitattributes": "*.bin -text\n", "d.bin": "1\n"})
    found = texts(filled(repository))
    assert (found["a.py"], found["c.txt"], found["d.bin"]) == (b"A = 2\r\n", b"TEXT\r\n", b"1\n")


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_a_sparse_checkout_stays_sparse(tmp_path: Path, cone: str) -> None:
    """The base has the folders that the tree has."""
    files = {"a.py": "", "in/b.py": "", "out/c.py": ""}
    repository = make_repository(tmp_path / "sparse", files)
    git(repository, "sparse-checkout", "set", cone, "in")
    assert texts(filled(repository)) == texts(repository)
    assert not (repository / "out").exists()


def test_no_hook_runs(repository: Path) -> None:
    """Neither the repository's, nor those that settings name, nor a template's."""
    hooks = repository / "hooks"
    for folder in (repository / ".git" / "hooks", hooks):
        folder.mkdir(exist_ok=True)
        for name in ("post-checkout", "post-index-change", "reference-transaction"):
            (folder / name).write_text("#!/bin/sh\ntouch called\nexit 2\n")
            (folder / name).chmod(0o755)
    git(repository, "config", "core.hooksPath", str(hooks))
    before = snapshot(repository)
    base = filled(repository)
    assert snapshot(repository) == before
    assert "a.py" in texts(base)
    assert "called" not in texts(base)
    assert not (base / ".git" / "hooks").exists()


def test_another_format_of_objects(tmp_path: Path) -> None:
    """SHA-256 repositories are read in their format."""
    repository = tmp_path / "sha256"
    command = [GIT, "init", "--quiet", "--object-format=sha256", str(repository)]
    subprocess.run(command, check=True)
    commit(repository, {"a.py": "A = 1\n"})
    assert texts(filled(repository)) == {"a.py": b"A = 1\n"}


def test_a_missing_filter_is_named_with_its_cure(repository: Path) -> None:
    """As where git-lfs is not installed: git's reason, and what to do."""
    git(repository, "config", "filter.lfs.smudge", "no-such-program smudge -- %f")
    commit(repository, {".gitattributes": "*.bin filter=lfs\n", "w.bin": "pointer\n"})
    git(repository, "config", "filter.lfs.required", "true")
    with pytest.raises(InputError, match=r"w\.bin: smudge filter lfs failed; install the filter"):
        filled(repository)
    git(repository, "config", "filter.lfs.required", "false")
    assert texts(filled(repository, "HEAD^0"))["w.bin"] == b"pointer\n"


def test_generated_modules_are_copied(repository: Path) -> None:
    """Modules that git ignores, unless they cannot be read or the base lacks their folder."""
    commit(repository, {".gitignore": "_version.py\nlinked.py\nmore/\n"})
    for name in ("_version.py", "inner/_version.py", "more/_version.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("version = 1\n")
    (repository / "linked.py").symlink_to("nowhere.py")
    found = texts(filled(repository))
    assert {name for name in found if "version" in name} == {"_version.py", "inner/_version.py"}
    assert "linked.py" not in found


def with_submodule(tmp_path: Path) -> Path:
    """Make a repository whose submodule had another commit in the first revision."""
    ops = make_repository(tmp_path / "ops", {"fast.py": "A = 1\n"})
    repository = make_repository(tmp_path / "project")
    git(repository, *LOCAL, "submodule", "--quiet", "add", "--name", "its name", "../ops", "ops")
    commit(repository, {})
    commit(ops, {"fast.py": "A = 2\n"})
    git(repository / "ops", *LOCAL, "pull", "--quiet")
    commit(repository, {})
    return repository


def test_submodules_have_the_commit_of_the_base(tmp_path: Path) -> None:
    """From the submodule on disk, which stays at its own commit."""
    repository = with_submodule(tmp_path)
    git(repository, "config", "submodule.recurse", "true")
    assert texts(filled(repository, "HEAD~1"))["ops/fast.py"] == b"A = 1\n"
    assert (repository / "ops" / "fast.py").read_text() == "A = 2\n"


def test_submodules_without_a_folder_are_found_by_name(tmp_path: Path) -> None:
    """One that this tree has no more, and one of a linked worktree that never had it."""
    repository = with_submodule(tmp_path)
    there = linked(repository)
    git(repository, "rm", "--quiet", "ops")
    commit(repository, {"a.py": ""})
    assert texts(filled(repository, "HEAD~1"))["ops/fast.py"] == b"A = 2\n"
    assert texts(filled(there, "HEAD~1"))["ops/fast.py"] == b"A = 1\n"


def test_submodules_that_are_not_on_disk_stay_empty(tmp_path: Path) -> None:
    """A clone without its submodules can be measured where it does not need them."""
    repository = with_submodule(tmp_path)
    git(tmp_path, "clone", "--quiet", "project", "clone")
    assert texts(filled(tmp_path / "clone")) == {
        ".gitmodules": (repository / ".gitmodules").read_bytes()
    }


def test_submodules_of_submodules_are_filled(tmp_path: Path) -> None:
    """To any depth."""
    with_submodule(tmp_path)
    outer = make_repository(tmp_path / "outer")
    git(outer, *LOCAL, "submodule", "--quiet", "add", "../project", "deep/project")
    git(outer, *LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(outer, {})
    assert texts(filled(outer))["deep/project/ops/fast.py"] == b"A = 2\n"
