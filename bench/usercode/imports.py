"""Import as a script in a folder would, and restore sys.path and sys.modules afterwards."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

from bench.records.errors import InputError
from bench.usercode.worktree_finder import Worktrees, origins

# Modules that cannot be loaded a second time.
_KEPT = {*sys.stdlib_module_names, "torch", "numpy"}
# Prefix of the names of modules made from users' files.
OWN_FILE = "vitbench_own_"
# Prefix of the names of modules, by version of a project.
_PREFIXES: dict[Path, str] = {}


@contextmanager
def at_home(folder: Path, *, alone: bool) -> Iterator[None]:
    """Let imports search ``folder`` first.

    With ``alone`` they find modules of the folder even if another module of that name is loaded,
    and what they load is removed from sys.modules afterwards: of two versions of a project that
    are compared file against file, neither gets the modules of the other.
    """
    path, before = list(sys.path), set(sys.modules)
    hidden = _take(_others(folder)) if alone else {}
    sys.path.insert(0, str(folder))
    invalidate_caches()  # The files may be new.
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
    """Remove modules from sys.modules and return them."""
    return {name: sys.modules.pop(name) for name in names}


def _others(folder: Path) -> list[str]:
    """Return the loaded modules from elsewhere whose names ``folder`` has too."""
    return [name for name in _named_in(folder) if not _lies_in({folder}, name)]


def _named_in(folder: Path) -> list[str]:
    """Return the loaded modules, from anywhere, whose names ``folder`` has."""
    files, packages = folder.glob("*.py"), folder.glob("*/__init__.py")
    names = {path.stem for path in files} | {path.parent.name for path in packages}
    return [name for name in sys.modules if _top(name) in names - _KEPT]


def _lies_in(folders: Iterable[Path], name: str) -> bool:
    """Return whether a loaded module is a file or package of one of the folders."""
    return any(
        Path(origin) == folder / f"{name}.py" or Path(origin).is_relative_to(folder / _top(name))
        for origin in origins(name)
        for folder in folders
    )


def _top(name: str) -> str:
    return name.partition(".")[0]


def import_from(tree: Path, name: str) -> ModuleType:
    """Import a module and its project's modules from one of several versions of the project.

    In sys.modules and in ``__name__`` each version's modules have the prefix ``at_<number>_``:
    torch.compile looks up the globals of a function there. A later import inside a function finds
    its own version only if it is relative.
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
    """Let imports find one version of a project, anywhere in its worktree.

    Modules that Python would find in the current worktree are found in that of ``tree``. Raises
    InputError if a module of the current worktree was loaded nonetheless.
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
    """Give the modules of one version their prefix."""
    for name, module in modules.items():
        if not module.__name__.startswith(prefix):
            module.__name__ = prefix + name
            if module.__package__:
                module.__package__ = prefix + module.__package__
        sys.modules[prefix + name] = module
