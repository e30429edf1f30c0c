"""The files of a user's own arms: found without importing them, and told when they change."""

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
    """What Python knows of a module, installed or in the working directory; nothing is imported."""
    top, *parts = name.split(".")
    before, sys.path = sys.path, [str(Path.cwd()), *sys.path]
    invalidate_caches()  # The file may be a moment old.
    try:
        with suppress(ValueError):  # Some loaded modules, such as __main__, do not tell.
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
    """Return the file of a module; None where it has none, as a namespace package has."""
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def binds(file: Path, name: str) -> bool:
    """Whether a file gives a name to its module, as far as reading it tells.

    What cannot be read so, such as ``from … import *``, may give any name.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return file.is_file()
    return bool({name, "*", "__getattr__"} & set(_bound(tree)))


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a module's own statements bind; those in functions and classes are not."""
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
    """What tells the contents of files, by their paths: from the folder where they lie in it."""
    found = {}
    for file in files:
        path = file.resolve()
        inside = path.is_relative_to(directory)
        name = path.relative_to(directory) if inside else path
        found[str(name)] = digest(path.read_bytes())
    return found


def check_unchanged(sources: Mapping[str, str], directory: Path) -> None:
    """Raise InputError where a file is gone or has another content than its digest says."""
    if not directory.is_dir():
        raise InputError(
            f"folder {directory}, from which the arms were named, is gone; put it back and "
            "resume, or compare anew"
        )
    for name, expected in sources.items():
        try:
            found = digest((directory / name).read_bytes())
        except OSError:
            found = None
        if found != expected:
            what = "is gone" if found is None else "has changed"
            raise InputError(
                f"{directory / name} {what} since the run began; restore it and resume, or "
                "compare anew: one run measures one version"
            )
