"""Import a user's file or module and call its function; every failure becomes one line."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from bench.records.errors import InputError, one_line
from bench.timing.device import is_out_of_memory
from bench.usercode.absent import absent_remedy
from bench.usercode.failures import own_line
from bench.usercode.imports import OWN_FILE, at_home, in_tree
from bench.usercode.spec import FunctionRef

_NUMBERS = count(1)
_SHOWN = 8


def call(function: FunctionRef, what: str, tree: Path | None = None) -> Any:
    """Import a file or module and call its function, which takes no argument.

    With ``tree`` it is the version in that worktree. Raises InputError with a message that begins
    with ``what`` for every failure except running out of memory.
    """
    if tree is not None:
        with _one_line_errors(what, tree), in_tree(tree):
            return _call_in(tree, function, what)
    folder = Path(function.place).resolve().parent if function.is_file else Path.cwd()
    with _one_line_errors(what), at_home(folder, alone=function.is_file):
        return _function(_module(function, what), function, what)()


def _call_in(tree: Path, function: FunctionRef, what: str) -> Any:
    """Call the function with every module of the project from one worktree."""
    if not function.is_file:
        return _function(import_module(function.place), function, what)()
    file = (tree / function.place).resolve()
    with at_home(file.parent, alone=True):
        return _function(_run_file(file), function, what)()


@contextmanager
def _one_line_errors(what: str, tree: Path | None = None) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        remedy = (tree and absent_remedy(error, tree)) or _remedy(error)
        raise InputError(
            f"{what} cannot be built: {one_line(error)}{own_line(error)}; {remedy}"
        ) from error


def _remedy(error: BaseException) -> str:
    if "relative import" in str(error):
        return "name its package, package.module:factory, so that relative imports work"
    if isinstance(error, ModuleNotFoundError):
        return "install what it imports; compiled extensions are not built for another revision"
    return "expected code that imports and runs without an argument: correct it there"


def _module(function: FunctionRef, what: str) -> ModuleType:
    if function.is_file:
        return _run_file(Path(function.place).resolve())
    try:
        return import_module(function.place)
    except ModuleNotFoundError as error:
        # Another name is that of a module imported by the user's module.
        if error.name is None or not f"{function.place}.".startswith(f"{error.name}."):
            raise
        raise InputError(
            f"{what}: no module {error.name!r} here; install it, run from the folder that holds "
            "it, or give a file: FILE.py:factory"
        ) from error


def _run_file(path: Path) -> ModuleType:
    """Import a file under a unique name, so that it does not replace another module."""
    name = f"{OWN_FILE}{next(_NUMBERS)}_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    # Dataclasses and pickle look a class's module up by its name.
    sys.modules[name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(module: ModuleType, function: FunctionRef, what: str) -> Callable[[], Any]:
    """Return the function. Raises InputError if it cannot be called without arguments."""
    if not hasattr(module, function.name):
        raise InputError(
            f"{what}: {function.place} has no {function.name!r}; {_others(module, function)}"
        )
    found: Any = getattr(module, function.name)
    if isinstance(found, nn.Module) or not callable(found):
        raise InputError(
            f"{what}: {function.name} is {described(found)}; expected a function without "
            f"arguments: def make(): return {function.name}"
        )
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise InputError(
            f"{what}: {function.name} takes arguments ({error}); expected a function without any: "
            f"def make(): return {function.name}, or {function.name}(…) with your arguments"
        ) from error
    except ValueError:  # Some functions written in C have no signature.
        pass
    result: Callable[[], Any] = found
    return result


def described(value: object) -> str:
    """Return a description of a value for a message."""
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _others(module: ModuleType, function: FunctionRef) -> str:
    """Return a hint at functions with similar names."""
    public = [n for n, each in vars(module).items() if callable(each) and not n.startswith("_")]
    if close := get_close_matches(function.name, public, n=1):
        return f"did you mean {close[0]!r}?"
    if not public:
        return "it has no function; write one: def make(): return …"
    more = ", …" if len(public) > _SHOWN else ""
    return f"it has {', '.join(public[:_SHOWN])}{more}"
