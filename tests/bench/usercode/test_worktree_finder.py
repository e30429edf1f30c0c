"""bench.usercode.worktree_finder: each version of a repository imports its own modules only."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.repositories import commit_of
from bench.runs.worktrees import checked_out
from bench.usercode.imports import import_from, in_tree
from bench.usercode.loading import call
from bench.usercode.spec import FunctionRef
from bench.usercode.worktree_finder import Worktrees
from helpers.own_arms import write
from helpers.repositories import commit, git, make_repository

# A factory, and the measured package in another folder of the repository.
FACTORY = """
from parts_of_mine.layers import NUMBER

def make():
    import parts_of_mine.late
    from parts_of_mine.later import NUMBER as later
    return [NUMBER, parts_of_mine.late.NUMBER, later]
"""
NAMES = ("benchmarks.factory", "benchmarks/factory.py")


def files(number: int) -> dict[str, str]:
    """Return the files of a repository whose modules all have this number."""
    modules = ("layers", "late", "later")
    package = {f"src/parts_of_mine/{name}.py": f"NUMBER = {number}\n" for name in modules}
    init = {"src/parts_of_mine/__init__.py": "", "benchmarks/__init__.py": ""}
    return {**package, **init, "benchmarks/factory.py": FACTORY}


@pytest.fixture(name="trees")
def _trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Yield a repository installed as with ``pip install -e``, and its first commit."""
    here = make_repository(tmp_path / "mine", files(1), files(2))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here / "src"))
    before = set(sys.modules)
    with checked_out(here, commit_of(here, "HEAD~1")) as base:
        yield here, base
    for name in set(sys.modules) - before:
        if "parts_of_mine" in name or "benchmarks" in name:
            del sys.modules[name]


def made(place: str, tree: Path) -> object:
    """Return the factory's result in one of the trees."""
    return call(FunctionRef(place=place, name="make"), "arm 'it'", tree)


@pytest.mark.parametrize("place", NAMES)
def test_each_version_imports_its_own_modules(trees: tuple[Path, Path], place: str) -> None:
    """Modules in other folders, imported at once or later, come from the factory's tree."""
    here, base = trees
    path, finders = list(sys.path), list(sys.meta_path)
    assert made(place, base) == [1, 1, 1]
    assert made(place, here) == [2, 2, 2]
    assert made(place, base) == [1, 1, 1]
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not {"parts_of_mine", "benchmarks"} & sys.modules.keys()


@pytest.mark.parametrize("place", NAMES)
def test_loaded_modules_are_not_used_for_the_base(trees: tuple[Path, Path], place: str) -> None:
    """A module loaded from this tree is not used for the base, and stays loaded."""
    here, base = trees
    mine = import_module("parts_of_mine.layers")
    assert made(place, base) == [1, 1, 1]
    assert sys.modules["parts_of_mine.layers"] is mine
    assert made(place, here) == [2, 2, 2]


class Editable:
    """Meta path finder that some installers use for an editable package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        """Return the spec of the installed package, else None."""
        from importlib.util import spec_from_file_location

        del path, target
        if fullname != "parts_of_mine":
            return None
        return spec_from_file_location(
            fullname, self.folder / "__init__.py", submodule_search_locations=[str(self.folder)]
        )


def test_a_package_of_an_editable_finder_is_moved(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package installed through a finder is imported from the base too."""
    here, base = trees
    monkeypatch.setattr(sys, "path", [each for each in sys.path if str(here) not in each])
    finder = Editable(here / "src" / "parts_of_mine")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert made(NAMES[0], base) == [1, 1, 1]
    assert made(NAMES[0], here) == [2, 2, 2]


def test_a_module_new_in_this_tree_is_not_in_the_base(trees: tuple[Path, Path]) -> None:
    """A new module is missing in the base."""
    here, base = trees
    write(here / "src" / "parts_of_mine" / "fresh.py", "NUMBER = 3")
    with in_tree(here):
        assert import_module("parts_of_mine.fresh").NUMBER == 3
    with in_tree(base), pytest.raises(ModuleNotFoundError):
        import_module("parts_of_mine.fresh")


def test_a_removed_module_is_still_in_the_base(trees: tuple[Path, Path]) -> None:
    """A removed module is imported in the base only."""
    here, base = trees
    write(base / "src" / "gone_of_mine.py", "NUMBER = 5")
    with in_tree(base):
        assert import_module("gone_of_mine").NUMBER == 5
    with in_tree(here), pytest.raises(ModuleNotFoundError):
        import_module("gone_of_mine")


def test_a_module_of_the_other_tree_is_an_error(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module loaded through a changed path is refused and unloaded."""
    here, base = trees
    write(here / "elsewhere" / "stray_of_mine.py", "")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def load() -> None:
        with in_tree(base):
            sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, Worktrees)]
            sys.path.insert(0, str(here / "elsewhere"))
            import_module("stray_of_mine")

    with pytest.raises(InputError, match="stray_of_mine came from"):
        load()
    assert "stray_of_mine" not in sys.modules


def test_installed_packages_are_shared(trees: tuple[Path, Path]) -> None:
    """Installed packages are shared, even from an environment inside the repository."""
    here, base = trees
    inside = here / ".venv" / "lib" / "site-packages"
    write(inside / "installed_of_others.py", "NUMBER = 7")
    found = Worktrees(here, base)
    assert found.moved(str(inside)) == str(inside)
    assert found.moved(str(here / "src")) == str(base / "src")
    assert found.moved("") == str(base)
    sys.path.insert(0, str(inside))
    try:
        import_module("installed_of_others")
        with in_tree(base):
            assert "installed_of_others" in sys.modules
    finally:
        sys.path.remove(str(inside))
        del sys.modules["installed_of_others"]


def test_a_generated_module_is_in_both_trees(trees: tuple[Path, Path]) -> None:
    """Ignored files inside a package are copied to the worktree; others are not."""
    here, _ = trees
    commit(here, {".gitignore": "_version.py\nbuild/\n__pycache__/\n", "CHANGES": ""})
    write(here / "src" / "parts_of_mine" / "_version.py", "VERSION = 9")
    write(here / "build" / "copied.py", "")
    with checked_out(here, commit_of(here, "HEAD")) as again:
        assert import_from(again / "src", "parts_of_mine._version").VERSION == 9
        assert not (again / "build").exists()
        assert git(again, "status", "--short") == ""


def test_a_folder_outside_a_repository_is_unchanged(tmp_path: Path) -> None:
    """A folder without a repository is imported from directly."""
    write(tmp_path / "alone_of_mine.py", "NUMBER = 4")
    assert import_from(tmp_path, "alone_of_mine").NUMBER == 4
    assert "alone_of_mine" not in sys.modules
