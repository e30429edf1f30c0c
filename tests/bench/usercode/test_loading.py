"""bench.usercode.loading: calls of a user's code, and its one-line errors."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bench.records.errors import InputError
from bench.usercode.imports import at_home
from bench.usercode.loading import call
from bench.usercode.spec import FunctionRef
from helpers.own_arms import write


@pytest.fixture(autouse=True)
def _same_modules() -> Iterator[None]:
    """Remove the modules that a test imported, so that the next one cannot find them."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("torch", "bench", "vitcore")):
            del sys.modules[name]


def called(path: Path, name: str = "make") -> object:
    """Return the result of a file's function."""
    return call(FunctionRef(place=str(path), name=name), "arm 'it'")


def refused(path: Path | str, name: str = "make") -> str:
    """Return the one-line error of a file's or module's function."""
    with pytest.raises(InputError) as raised:
        call(FunctionRef(place=str(path), name=name), "arm 'it'")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_function_of_a_file_is_called(tmp_path: Path) -> None:
    """The function's result is returned unchanged."""
    path = write(tmp_path / "my arms.py", "def make(): return ['made', __name__, __file__]")
    made = called(path)
    assert isinstance(made, list)
    assert made[0] == "made"
    assert made[2] == str(path)
    assert "my arms" not in sys.modules


def test_a_file_is_run_afresh_each_time(tmp_path: Path) -> None:
    """Two copies of an arm share no state, and a changed file takes effect at once."""
    path = write(tmp_path / "arms.py", "ONE = object()\ndef make(): return ONE")
    assert called(path) is not called(path)
    write(path, "def make(): return 'changed, and longer'")
    assert called(path) == "changed, and longer"


def test_a_file_does_not_replace_an_installed_module(tmp_path: Path) -> None:
    """A file named like an installed module runs, and the module is unchanged."""
    assert called(write(tmp_path / "click.py", "def make(): return 'mine'")) == "mine"
    assert sys.modules["click"] is click


def test_dataclasses_find_their_module(tmp_path: Path) -> None:
    """A class's module is found in sys.modules, also after the file was run."""
    code = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Sizes:
            kind: ClassVar[str]
            width: int = 3

        def make(): return Sizes
    """
    sizes = called(write(tmp_path / "arms.py", code))
    assert isinstance(sizes, type)
    assert sizes.__module__ in sys.modules


def version(folder: Path, number: int) -> Path:
    """Write a project whose factory imports its neighbours at once and later."""
    write(folder / "layers.py", f"NUMBER = {number}")
    write(folder / "parts" / "__init__.py", "")
    write(folder / "parts" / "heads.py", f"NUMBER = {number}")
    write(folder / "loose" / "tails.py", f"NUMBER = {number}")
    code = """
        import layers
        from parts.heads import NUMBER
        def make():
            import loose.tails
            return [layers.NUMBER, NUMBER, loose.tails.NUMBER]
    """
    return write(folder / "model.py", code)


def test_two_versions_of_a_project_get_their_own_neighbours(tmp_path: Path) -> None:
    """Files of the same names in two folders are kept apart; sys.path and modules are restored."""
    old, new = version(tmp_path / "old", 1), version(tmp_path / "new", 2)
    path = list(sys.path)
    assert called(old) == [1, 1, 1]
    assert called(new) == [2, 2, 2]
    assert called(old) == [1, 1, 1]
    assert sys.path == path
    assert not {"layers", "parts", "parts.heads", "loose", "loose.tails"} & sys.modules.keys()


def test_a_loaded_version_does_not_hide_the_one_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version imported before, as in a notebook, stays loaded but is not used."""
    version(tmp_path / "old", 1)
    monkeypatch.syspath_prepend(tmp_path / "old")
    import layers  # type: ignore[import-not-found] # the test wrote it

    assert called(version(tmp_path / "new", 2)) == [2, 2, 2]
    assert sys.modules["layers"] is layers
    assert layers.NUMBER == 1


def test_a_path_that_a_file_adds_is_its_own(tmp_path: Path) -> None:
    """A path added by one file does not affect the next one."""
    code = "import sys; sys.path.append('{}')\nimport layers\ndef make(): return layers.NUMBER"
    for number in (1, 2):
        home = tmp_path / str(number)
        version(home, number)
        assert called(write(home / "deep" / "model.py", code.format(home))) == number


def test_torch_and_the_standard_library_are_never_hidden(tmp_path: Path) -> None:
    """A file named torch or random does not hide the real module."""
    torch = sys.modules["torch"]
    for name in ("torch", "random"):
        write(tmp_path / f"{name}.py", "raise SystemExit")
    code = "import random, torch\ndef make(): return torch"
    assert called(write(tmp_path / "model.py", code)) is torch


def test_a_module_of_the_working_directory_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package is imported normally and once, with its relative imports."""
    write(tmp_path / "own_package" / "__init__.py", "")
    write(tmp_path / "own_package" / "sizes.py", "SIZE = 3")
    code = "from .sizes import SIZE\ndef make(): return SIZE"
    write(tmp_path / "own_package" / "arms.py", code)
    monkeypatch.chdir(tmp_path)
    assert call(FunctionRef(place="own_package.arms", name="make"), "arm") == 3
    assert "own_package.arms" in sys.modules


def test_modules_imported_by_name_stay_loaded(tmp_path: Path) -> None:
    """Only the neighbours of a file are unloaded."""
    write(tmp_path / "stays.py", "")
    with at_home(tmp_path, alone=False):
        import stays  # type: ignore[import-not-found] # the test wrote it
    assert sys.modules["stays"] is stays


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\nx / 0", "ZeroDivisionError: division by zero (arms.py, line 2)"),
        (
            "def make():\n    return undefined",
            "NameError: name 'undefined' is not defined (arms.py",
        ),
        ("import sys; sys.exit(3)", "SystemExit: 3 (arms.py, line 1)"),
        ("def make(): raise SystemExit", "SystemExit (arms.py, line 1)"),
        ("def make(:", "SyntaxError: invalid syntax (arms.py, line 1)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (arms.py"),
        ("raise ValueError('one\\ntwo')", "ValueError: one (arms.py, line 1)"),
        (
            "class Odd(Exception): pass\ndef make(): raise Odd",
            "cannot be built: Odd (arms.py, line 2)",
        ),
        (
            "import json\ndef make(): json.loads('{')",
            "(arms.py, line 2); expected code that imports",
        ),
        ("from . import layers", "name its package, package.module:factory, so that relative"),
        ("\0", "cannot be built: SyntaxError: source code string cannot contain null bytes"),
        ("def makes(): pass", "has no 'make'; did you mean 'makes'?"),
        ("", "has no 'make'; it has no function; write one: def make(): return …"),
        ("def other(): pass\nimport math", "has no 'make'; it has other"),
        ("make = 3", "make is an object of type int; expected a function without"),
        ("make = None", "make is None; expected a function without arguments: def make"),
        ("from torch import nn\nmake = nn.ReLU()", "make is an object of type ReLU; expected"),
        ("def make(x): pass", "make takes arguments (missing a required argument: 'x')"),
        ("class make:\n  def __init__(self, *, n): ...", "missing a required argument: 'n'"),
    ],
)
def test_every_mistake_is_one_line(tmp_path: Path, code: str, said: str) -> None:
    """The line starts with the arm and has the user's error and its place."""
    before = set(sys.modules)
    message = refused(write(tmp_path / "arms.py", code))
    assert message.startswith("arm 'it'")
    assert said in message
    if "ModuleNotFoundError" in message:
        assert "install what it imports" in message
    if "cannot be built" in message and "def make" not in code:
        assert set(sys.modules) == before, "a module that did not load stays in the table"


def test_the_error_has_the_users_line(tmp_path: Path) -> None:
    """For an error raised in torch, the line is that of the user's file."""
    code = "from torch import nn\n\ndef make():\n    return nn.Linear(-1, 'x')"
    assert "(arms.py, line 4)" in refused(write(tmp_path / "arms.py", code))


def test_many_functions_are_not_all_listed(tmp_path: Path) -> None:
    """Eight functions are listed."""
    code = "\n".join(f"def f{number}(): pass" for number in range(20))
    assert "it has f0, f1, f2, f3, f4, f5, f6, f7, …" in refused(write(tmp_path / "a.py", code))


def test_a_missing_module_is_refused() -> None:
    """A missing submodule is distinguished from a missing import of the module."""
    message = refused("json.no_such_module")
    assert "no module 'json.no_such_module' here; install it, run from the folder" in message


def test_a_memory_error_is_not_an_input_error(tmp_path: Path) -> None:
    """MemoryError passes through, so that the row has status ``oom``."""
    path = write(tmp_path / "arms.py", "def make(): raise MemoryError('full')")
    with pytest.raises(MemoryError, match="full"):
        called(path)


def test_an_interrupt_goes_through(tmp_path: Path) -> None:
    """Ctrl-C during a user's code raises KeyboardInterrupt."""
    path = write(tmp_path / "arms.py", "def make(): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        called(path)
