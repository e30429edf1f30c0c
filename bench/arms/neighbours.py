"""Imports as a script in a folder would do them, without a trace afterwards."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path
from types import ModuleType

# Modules that cannot be loaded a second time, whatever a folder holds.
_KEPT = {*sys.stdlib_module_names, "torch", "numpy"}


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
    files, packages = folder.glob("*.py"), folder.glob("*/__init__.py")
    names = {path.stem for path in files} | {path.parent.name for path in packages}
    loaded = [name for name in sys.modules if _top(name) in names - _KEPT]
    return [name for name in loaded if not _lies_in({folder}, name)]


def _lies_in(folders: Iterable[Path], name: str) -> bool:
    """Whether a loaded module comes from one of some folders, as its file or package."""
    module = getattr(sys.modules[name], "__dict__", {})  # Anything may stand in the table.
    origins = [module["__file__"]] if module.get("__file__") else module.get("__path__", ())
    return any(
        Path(origin) == folder / f"{name}.py" or Path(origin).is_relative_to(folder / _top(name))
        for origin in origins
        for folder in folders
    )


def _top(name: str) -> str:
    return name.partition(".")[0]
