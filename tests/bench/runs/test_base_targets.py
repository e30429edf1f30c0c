"""bench.runs.base_targets: targets at the base, also those that were moved since."""

import shutil
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.base_targets import BaseTarget, Trees, check_here, find_at_base
from bench.runs.repositories import commit_of
from bench.runs.targets import paired, read_targets, root_of
from bench.runs.worktrees import checked_out
from helpers.repositories import commit, git, make_repository, snapshot

LAYERS = "".join(f"def layer_{n}():\n    return {n}\n\n" for n in range(8))
SOURCE = f"{LAYERS}def make():\n    return abs\n"
OTHER = "\n".join(f"VALUE_{number} = {number}" for number in range(20))


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "attn.py": SOURCE,
        "pkg/__init__.py": "",
        "pkg/attn.py": SOURCE.replace("layer", "part"),
        "other.py": OTHER,
    }
    repository = make_repository(tmp_path / "project", files)
    monkeypatch.chdir(repository)
    return repository


def found(
    repository: Path, name: str, at_base: str | None = None, base: str = "main"
) -> tuple[str, Path, Path] | None:
    """Find a target at the base, as its name there and its folders within both trees."""
    (target,) = read_targets([name], "1,8", {name: at_base} if at_base else None)
    root = root_of(target, repository)
    check_here({target: root})
    before = snapshot(repository)
    with checked_out(repository, commit_of(repository, base)) as folder:
        it = find_at_base(target, root, Trees(here=repository, base=folder))
        assert snapshot(repository) == before
        return None if it is None else shown(it, repository, folder)


def shown(it: BaseTarget, repository: Path, base: Path) -> tuple[str, Path, Path]:
    """Return the name of a target at the base, and its folders without those of the trees."""
    return it.arm.text, it.here.relative_to(repository), it.there.relative_to(base)


def test_a_target_that_stayed_is_the_same_there(repository: Path) -> None:
    """Also where its file has changed beyond recognition."""
    (repository / "attn.py").write_text("def make(): return 1\n")
    assert found(repository, "attn.py:make") == ("attn.py:make", Path(), Path())
    assert found(repository, "pkg.attn:make") == ("pkg.attn:make", Path(), Path())


@pytest.mark.parametrize("staged", [True, False])
def test_a_moved_file_is_found(repository: Path, staged: bool) -> None:  # noqa: FBT001
    """Moved in the working tree, with some changes, whether git was told or not."""
    (repository / "deep").mkdir()
    (repository / "attn.py").rename(repository / "deep" / "attention.py")
    (repository / "deep" / "attention.py").write_text(SOURCE.replace("return 3", "return 33"))
    if staged:
        git(repository, "add", "-A")
    name, *_ = found(repository, "deep/attention.py:make") or ("",)
    assert name == "attn.py:make"


def test_a_file_moved_and_then_rewritten_is_followed(repository: Path) -> None:
    """Commit by commit, where base and tree have nothing in common but the name."""
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "mv", "attn.py", "b.py")
    commit(repository, {})
    git(repository, "mv", "b.py", "c [1].py")
    commit(repository, {})
    commit(repository, {"c [1].py": f"{OTHER}\ndef make(): return 1\n"})
    name, *_ = found(repository, "c [1].py:make", base=base) or ("",)
    assert name == "attn.py:make"


def test_a_moved_module_has_its_name_there(repository: Path) -> None:
    """Within a package, and from the top into src."""
    git(repository, "mv", "pkg/attn.py", "pkg/attention.py")
    assert found(repository, "pkg.attention:make") == ("pkg.attn:make", Path(), Path())


def test_a_package_moved_into_src_is_found(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base's is imported from the base's folder."""
    (repository / "src").mkdir()
    git(repository, "mv", "pkg", "src/pkg")
    shutil.rmtree(repository / "pkg", ignore_errors=True)
    monkeypatch.syspath_prepend(str(repository / "src"))
    assert found(repository, "pkg.attn:make") == ("pkg.attn:make", Path("src"), Path())


def test_a_package_that_became_a_folder_of_the_same_name(repository: Path) -> None:
    """A module that became a package is found at its own name: nothing was moved."""
    (repository / "pkg" / "attn").mkdir()
    git(repository, "mv", "pkg/attn.py", "pkg/attn/__init__.py")
    assert found(repository, "pkg.attn:make") == ("pkg.attn:make", Path(), Path())


def test_a_file_moved_above_the_working_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path at the base is relative to the working folder, which the base lacks."""
    (repository / "new").mkdir()
    git(repository, "mv", "attn.py", "new/attn.py")
    monkeypatch.chdir(repository / "new")
    assert found(repository, "attn.py:make") == ("../attn.py:make", Path("new"), Path("new"))


def test_a_copy_is_new(repository: Path) -> None:
    """The origin is still there: another target, which the base does not have."""
    shutil.copy(repository / "attn.py", repository / "copy.py")
    assert found(repository, "copy.py:make") is None


def test_an_unlike_file_is_new(repository: Path) -> None:
    """A common name alone is no move."""
    (repository / "attn.py").rename(repository / "unlike.py")
    (repository / "unlike.py").write_text(f"{OTHER}\ndef make(): return 1\n")
    assert found(repository, "unlike.py:make") is None


def test_the_given_target_of_the_base_is_taken(repository: Path) -> None:
    """Where nothing tells that it is the same: a renamed function, or another file."""
    (repository / "unlike.py").write_text("def fresh(): return 1\n")
    at_base = ("attn.py:make", Path(), Path())
    assert found(repository, "unlike.py:fresh") is None
    assert found(repository, "unlike.py:fresh", "attn.py:make") == at_base
    assert found(repository, "attn.py:make", "pkg.attn:make") == ("pkg.attn:make", Path(), Path())


@pytest.mark.parametrize("at_base", ["attn.py:mkae", "nowhere.py:make", "pkg.nowhere:make"])
def test_a_given_target_that_the_base_lacks_is_refused(repository: Path, at_base: str) -> None:
    """It would pass as new."""
    with pytest.raises(InputError, match=r"is not at the base; name a function"):
        found(repository, "attn.py:make", at_base)


def test_a_target_that_this_tree_lacks_is_refused(repository: Path) -> None:
    """A misspelt function would be new for ever."""
    with pytest.raises(InputError, match="has no 'mkae'; name a function that this tree has"):
        found(repository, "attn.py:mkae")


def test_targets_of_the_base_are_paired_in_order() -> None:
    """One for each, or none."""
    assert paired(["a", "b"], []) == {}
    assert paired(["a", "b"], ["x", "b"]) == {"a": "x", "b": "b"}
    with pytest.raises(InputError, match="1 --base-target for 2 --target; give one for each"):
        paired(["a", "b"], ["x"])
