"""worktree_finder: of two versions of a repository each gets all of its own, and no more."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.worktrees import checked_out
from bench.usercode.imports import import_from, in_tree
from bench.usercode.loading import call
from bench.usercode.spec import FunctionRef
from bench.usercode.worktree_finder import Worktrees
from helpers.own_arms import write
from helpers.repositories import commit, git, make_repository

# A factory, and the package that it measures, in another folder of the repository.
FACTORY = """
from parts_of_mine.layers import NUMBER

def make():
    import parts_of_mine.late
    from parts_of_mine.later import NUMBER as later
    return [NUMBER, parts_of_mine.late.NUMBER, later]
"""
NAMES = ("benchmarks.factory", "benchmarks/factory.py")


def files(number: int) -> dict[str, str]:
    """A repository in which every module has this number."""
    modules = ("layers", "late", "later")
    package = {f"src/parts_of_mine/{name}.py": f"NUMBER = {number}\n" for name in modules}
    init = {"src/parts_of_mine/__init__.py": "", "benchmarks/__init__.py": ""}
    return {**package, **init, "benchmarks/factory.py": FACTORY}


@pytest.fixture(name="trees")
def _trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A repository, worked in and installed as with ``pip install -e``, and its first commit."""
    here = make_repository(tmp_path / "mine", files(1), files(2))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here / "src"))
    before = set(sys.modules)
    with checked_out(here, "HEAD~1") as base:
        yield here, base
    for name in set(sys.modules) - before:
        if "parts_of_mine" in name or "benchmarks" in name:
            del sys.modules[name]


def made(place: str, tree: Path) -> object:
    """What the factory returns in one of the trees."""
    return call(FunctionRef(place=place, name="make"), "arm 'it'", tree)


@pytest.mark.parametrize("place", NAMES)
def test_each_version_gets_all_of_its_own(trees: tuple[Path, Path], place: str) -> None:
    """Also what lies in another folder than the factory, whenever the factory imports it."""
    here, base = trees
    path, finders = list(sys.path), list(sys.meta_path)
    assert made(place, base) == [1, 1, 1]
    assert made(place, here) == [2, 2, 2]
    assert made(place, base) == [1, 1, 1]
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not {"parts_of_mine", "benchmarks"} & sys.modules.keys()


@pytest.mark.parametrize("place", NAMES)
def test_what_is_loaded_already_is_not_taken_for_the_bases(
    trees: tuple[Path, Path], place: str
) -> None:
    """Inputs may have been made by this tree's version; it stays where it was."""
    here, base = trees
    mine = import_module("parts_of_mine.layers")
    assert made(place, base) == [1, 1, 1]
    assert sys.modules["parts_of_mine.layers"] is mine
    assert made(place, here) == [2, 2, 2]


class Editable:
    """What some installers put at the end of the finders, instead of a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        """The package that was installed."""
        from importlib.util import spec_from_file_location

        del path, target
        if fullname != "parts_of_mine":
            return None
        return spec_from_file_location(
            fullname, self.folder / "__init__.py", submodule_search_locations=[str(self.folder)]
        )


def test_a_package_that_a_finder_knows_is_moved_too(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As setuptools installs a package with pip install -e."""
    here, base = trees
    monkeypatch.setattr(sys, "path", [each for each in sys.path if str(here) not in each])
    finder = Editable(here / "src" / "parts_of_mine")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert made(NAMES[0], base) == [1, 1, 1]
    assert made(NAMES[0], here) == [2, 2, 2]


def test_what_the_base_lacks_is_not_taken_from_here(trees: tuple[Path, Path]) -> None:
    """A module that is new."""
    here, base = trees
    write(here / "src" / "parts_of_mine" / "fresh.py", "NUMBER = 3")
    with in_tree(here):
        assert import_module("parts_of_mine.fresh").NUMBER == 3
    with in_tree(base), pytest.raises(ModuleNotFoundError):
        import_module("parts_of_mine.fresh")


def test_what_this_tree_has_lost_is_still_the_bases(trees: tuple[Path, Path]) -> None:
    """A module that was taken away."""
    here, base = trees
    write(base / "src" / "gone_of_mine.py", "NUMBER = 5")
    with in_tree(base):
        assert import_module("gone_of_mine").NUMBER == 5
    with in_tree(here), pytest.raises(ModuleNotFoundError):
        import_module("gone_of_mine")


def test_what_comes_from_the_other_tree_nonetheless_is_an_error(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as what a module loads after it has changed the path itself; nothing of it is left."""
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


def test_installed_packages_are_everyones(trees: tuple[Path, Path]) -> None:
    """Wherever the environment lies, in the repository too."""
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


def test_a_generated_module_stands_in_both(trees: tuple[Path, Path]) -> None:
    """Git ignores it, and its package would not import without; other ignored files stay here."""
    here, _ = trees
    commit(here, {".gitignore": "_version.py\nbuild/\n__pycache__/\n", "CHANGES": ""})
    write(here / "src" / "parts_of_mine" / "_version.py", "VERSION = 9")
    write(here / "build" / "copied.py", "")
    with checked_out(here, "HEAD") as again:
        assert import_from(again / "src", "parts_of_mine._version").VERSION == 9
        assert not (again / "build").exists()
        assert git(again, "status", "--short") == ""


def test_a_folder_without_repository_is_its_own(tmp_path: Path) -> None:
    """Nothing is found elsewhere for it."""
    write(tmp_path / "alone_of_mine.py", "NUMBER = 4")
    assert import_from(tmp_path, "alone_of_mine").NUMBER == 4
    assert "alone_of_mine" not in sys.modules
