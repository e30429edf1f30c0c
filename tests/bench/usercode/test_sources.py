"""bench.usercode.sources: files of own arms are found without execution and checked for changes."""

import sys
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.usercode.sources import binds, check_unchanged, digests, module_spec
from bench.usercode.spec import FunctionRef, read_arm
from helpers.own_arms import write


@pytest.fixture(name="package")
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a package in the working directory that must not be executed."""
    write(tmp_path / "own_package" / "__init__.py", "raise SystemExit")
    write(tmp_path / "own_package" / "inner" / "arms.py", "raise SystemExit")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own_package"


@pytest.mark.parametrize("name", ["own_package", "own_package.inner", "own_package.inner.arms"])
def test_a_module_is_found_at_any_depth(package: Path, name: str) -> None:
    """A module is found with or without ``__init__.py``, and nothing is imported."""
    before = list(sys.path)
    assert module_spec(name) is not None
    assert package.name not in sys.modules
    assert sys.path == before


@pytest.mark.parametrize("name", ["own_package.outer", "own_package.inner.arms.more", "no.module"])
@pytest.mark.usefixtures("package")
def test_a_misspelt_module_is_refused_early(name: str) -> None:
    """A misspelt part of a dotted name is refused before a process starts."""
    assert module_spec(name) is None
    with pytest.raises(InputError, match=f"no module '{name}' here"):
        read_arm(f"{name}:make")


def test_the_file_of_an_arm(package: Path) -> None:
    """A file's and a module's arm have their file; a built-in module has None."""
    arms = package / "inner" / "arms.py"
    places = {"own_package.inner.arms": arms, str(arms): arms, "sys": None}
    for place, file in places.items():
        code = read_arm(f"{place}:make").code
        assert isinstance(code, FunctionRef)
        assert code.file == file


@pytest.mark.parametrize(
    "text",
    [
        "def make(): ...",
        "async def make(): ...",
        "class make: ...",
        "make = 1",
        "(a, make), b = (1, 2), 3",
        "make: int = 1",
        "from x import make",
        "from x import a as make",
        "import make.inner",
        "import a as make",
        "if a:\n    def make(): ...",
        "try:\n    from x import make\nexcept ImportError:\n    make = None",
        "with a as make: ...",
        "for make in a: ...",
        "from x import *",
        "def __getattr__(name): ...",
        "this is no Python",
    ],
)
def test_a_name_is_bound(tmp_path: Path, text: str) -> None:
    """Every binding statement counts, and a name that cannot be ruled out is accepted."""
    assert binds(write(tmp_path / "arms.py", text), "make")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "print(make)",
        "def other():\n    make = 1",
        "class Other:\n    def make(self): ...",
        "from make import other",
        "import make as other",
        "other.make = 1",
    ],
)
def test_a_name_is_not_bound(tmp_path: Path, text: str) -> None:
    """Uses of a name and names inside functions or classes do not bind it."""
    assert not binds(write(tmp_path / "arms.py", text), "make")
    assert not binds(tmp_path / "gone.py", "make")


def test_files_are_identified_by_their_content(tmp_path: Path) -> None:
    """The same content is unchanged; other content or a missing file is refused."""
    path = write(tmp_path / "arms.py", "def make(): ...")
    before = digests([path], tmp_path)
    write(path, "def make(): ...")
    check_unchanged(before, tmp_path)
    assert list(before) == ["arms.py"]
    assert list(digests([path], tmp_path / "sub")) == [str(path)]
    write(path, "def make(): ... ")
    with pytest.raises(InputError, match=r"arms\.py has changed since the run began; restore it"):
        check_unchanged(before, tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"arms\.py is missing since the run began"):
        check_unchanged(before, tmp_path)
    with pytest.raises(
        InputError, match=r"folder .*, the working directory of the run, is missing"
    ):
        check_unchanged({}, tmp_path / "gone")
