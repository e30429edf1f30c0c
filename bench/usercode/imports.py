"""Imports as a script in a folder would do them, without a trace afterwards."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

from bench.records.errors import InputError
from bench.usercode.worktree_finder import Worktrees, origins

# Modules that cannot be loaded a second time, whatever a folder holds.
_KEPT = {*sys.stdlib_module_names, "torch", "numpy"}
# How the modules of users' files are called.
OWN_FILE = "vitbench_own_"
# How the modules of each version of a project are called.
_PREFIXES: dict[Path, str] = {}


@contextmanager
def at_home(folder: Path, *, alone: bool) -> Iterator[None]:
    """Let imports look into ``folder`` first.

    With ``alone`` they find what lies there even where a module of that name is loaded from
    elsewhere, and what they load leaves the table of modules afterwards: of two versions of a
    project, compared file against file, none gets the other's neighbours.
    """
    path, before = list(sys.path), set(sys.modules)
    hidden = _take(_others(folder)) if alone else {}
    sys.path.insert(0, str(folder))
    invalidate_caches()  # The files may be a moment old.
    try:
        yield
    finally:
        if alone:
            folders = {folder, *map(Path, set(sys.path) - set(path))}
            new = sys.modules.keys() - (before - hidden.keys())
            _take([name for name in new if _lies_in(folders, name)])
        sys.modules.update(hidden)
        sys.path[:] = path


def _take(names: Iterable[str]) -> dict[str, ModuleType]:
    """Take modules out of the table."""
    return {name: sys.modules.pop(name) for name in names}


def _others(folder: Path) -> list[str]:
    """Loaded modules from elsewhere, whose names ``folder`` has too."""
    return [name for name in _named_in(folder) if not _lies_in({folder}, name)]


def _named_in(folder: Path) -> list[str]:
    """Loaded modules whose names ``folder`` has, wherever they come from."""
    files, packages = folder.glob("*.py"), folder.glob("*/__init__.py")
    names = {path.stem for path in files} | {path.parent.name for path in packages}
    return [name for name in sys.modules if _top(name) in names - _KEPT]


def _lies_in(folders: Iterable[Path], name: str) -> bool:
    """Whether a loaded module comes from one of some folders, as its file or package."""
    return any(
        Path(origin) == folder / f"{name}.py" or Path(origin).is_relative_to(folder / _top(name))
        for origin in origins(name)
        for folder in folders
    )


def _top(name: str) -> str:
    return name.partition(".")[0]


def import_from(tree: Path, name: str) -> ModuleType:
    """Import a module, and whatever belongs to it, from one of several versions of a project.

    Each version's modules stand in the table of modules under names of their own, ``at_<number>_``
    and the usual one, and call themselves so: torch.compile looks up there what a function sees.
    A later import inside a function finds its own version where it is a relative one.
    """
    prefix = _prefix(tree)
    if prefix + name not in sys.modules:
        with in_tree(tree):
            import_module(name)
    return sys.modules[prefix + name]


def _prefix(tree: Path) -> str:
    return _PREFIXES.setdefault(tree.resolve(), f"at_{len(_PREFIXES)}_")


@contextmanager
def in_tree(tree: Path) -> Iterator[None]:
    """Let imports find one version of a project, wherever in its worktree a module lies.

    What Python would find in the worktree that one works in is found in the one that ``tree`` lies
    in. Raises InputError where something of the other worktree was loaded nonetheless.
    """
    prefix, trees = _prefix(tree), Worktrees.of(tree.resolve())
    path, finders = list(sys.path), list(sys.meta_path)
    hidden = _take({*_named_in(tree), *filter(trees.is_of_either, sys.modules)})
    known = {n.removeprefix(prefix): m for n, m in sys.modules.items() if n.startswith(prefix)}
    sys.modules.update(known)
    before = set(sys.modules)
    sys.path[:] = [str(tree), *map(trees.moved, path)]
    sys.meta_path.insert(0, trees)
    invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.meta_path[:] = path, finders
        new = sys.modules.keys() - before
        strays = _take([name for name in new if trees.is_astray(name)])
        own = [name for name in new - strays.keys() if _belongs(name, tree, trees)]
        _keep_as(prefix, {**known, **_take([*known, *own])})
        sys.modules.update(hidden)
    if strays:
        raise InputError(
            f"{', '.join(sorted(strays))} came from {trees.here}, not from {trees.there}; import "
            "it by a path that both have, or leave the target out"
        )


def _belongs(name: str, tree: Path, trees: Worktrees) -> bool:
    if name.startswith(OWN_FILE):
        return False
    return trees.is_of_either(name) or _lies_in({tree}, name)


def _keep_as(prefix: str, modules: Mapping[str, ModuleType]) -> None:
    """Give modules of one version names of their own."""
    for name, module in modules.items():
        if not module.__name__.startswith(prefix):
            module.__name__ = prefix + name
            if module.__package__:
                module.__package__ = prefix + module.__package__
        sys.modules[prefix + name] = module
