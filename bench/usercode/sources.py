"""Find the files of a user's own arms without importing them, and detect changes."""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from bench.files.run_folder import digest
from bench.records.errors import InputError


def module_spec(name: str) -> ModuleSpec | None:
    """Find a module, installed or in the working directory, without importing it."""
    top, *parts = name.split(".")
    before, sys.path = sys.path, [str(Path.cwd()), *sys.path]
    invalidate_caches()  # The file may be a moment old.
    try:
        with suppress(ValueError):  # Some loaded modules, such as __main__, have no spec.
            spec = find_spec(top)
            for part in parts:
                within = spec.submodule_search_locations if spec else None
                # By its last name: a namespace asks for its parent, which is not loaded.
                spec = PathFinder.find_spec(part, list(within)) if within else None
            return spec
    finally:
        sys.path = before
    return ModuleSpec(name, None)


def origin_of(spec: ModuleSpec | None) -> Path | None:
    """Return the file of a module; None if it has none, such as a namespace package."""
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def binds(file: Path, name: str) -> bool:
    """Return whether a file binds a name at module level, as far as its source shows.

    ``from … import *`` and source that cannot be parsed may bind any name.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return file.is_file()
    return bool({name, "*", "__getattr__"} & set(_bound(tree)))


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names bound at module level, without those inside functions and classes."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
            continue
        if isinstance(each, ast.alias):
            yield (each.asname or each.name).partition(".")[0]
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        yield from _bound(each)


def digests(files: Iterable[Path], directory: Path) -> dict[str, str]:
    """Return the digests of files by path, relative to ``directory`` if they are in it."""
    found = {}
    for file in files:
        path = file.resolve()
        inside = path.is_relative_to(directory)
        name = path.relative_to(directory) if inside else path
        found[str(name)] = digest(path.read_bytes())
    return found


def check_unchanged(sources: Mapping[str, str], directory: Path) -> None:
    """Raise InputError if a file is missing or does not match its digest."""
    if not directory.is_dir():
        raise InputError(
            f"folder {directory}, the working directory of the run, is missing; restore it and "
            "resume, or compare again"
        )
    for name, expected in sources.items():
        try:
            found = digest((directory / name).read_bytes())
        except OSError:
            found = None
        if found != expected:
            what = "is missing" if found is None else "has changed"
            raise InputError(
                f"{directory / name} {what} since the run began; restore it and resume, or "
                "compare again: one run measures one version"
            )
