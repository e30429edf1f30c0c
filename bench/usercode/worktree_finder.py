"""Import modules from another worktree of the same repository."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Self

# This package, which keeps running while other packages or versions of itself are loaded.
_OURS = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Worktrees(MetaPathFinder):
    """The current worktree, ``here``, and the worktree to import from, ``there``.

    They may be the same, or one inside the other. As a finder it precedes all others.
    """

    here: Path
    there: Path

    @classmethod
    def of(cls, tree: Path) -> Self:
        """Return the worktrees of the working directory and of a folder, or the folder itself."""
        there = _top(tree) or tree
        return cls(_top(Path.cwd().resolve()) or there, there)

    def moved(self, entry: str) -> str:
        """Return an entry of ``sys.path`` moved to the other worktree."""
        path = Path(entry or Path.cwd()).resolve()
        return str(self._other(path)) if self._home(path) == self.here else entry

    def is_of_either(self, name: str) -> bool:
        """Return whether a loaded module of another package is in one of the worktrees."""
        return any(self._home(path) is not None for path in _places(name))

    def is_astray(self, name: str) -> bool:
        """Return whether a loaded module is in the current worktree instead of the other."""
        return self.here != self.there and any(
            self._home(path) == self.here for path in _places(name)
        )

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module with the other finders, moved to the other worktree.

        Raises ModuleNotFoundError if the other worktree lacks it.
        """
        rest = (finder for finder in sys.meta_path if not isinstance(finder, Worktrees))
        found = (finder.find_spec(fullname, path, target) for finder in rest)
        spec = next((each for each in found if each is not None), None)
        if spec is None or self.here == self.there:
            return spec
        if spec.submodule_search_locations is not None:
            places = [self.moved(each) for each in spec.submodule_search_locations]
            if spec.origin is None:
                spec.submodule_search_locations[:] = places
                return spec
        else:
            places = None
        file = Path(spec.origin) if spec.has_location and spec.origin else None
        if file is None or self._home(file.resolve()) != self.here:
            return spec
        other = self._other(file.resolve())
        if not other.is_file():
            raise ModuleNotFoundError(f"{fullname} is not in {self.there}", name=fullname)
        return spec_from_file_location(fullname, other, submodule_search_locations=places)

    def _other(self, path: Path) -> Path:
        return self.there / path.relative_to(self.here)

    def _home(self, path: Path) -> Path | None:
        """Return the worktree to which a file belongs; None for an installed file."""
        tops = [top for top in (self.here, self.there) if path.is_relative_to(top)]
        if not tops or _INSTALLED & set(path.parts):
            return None
        top = max(tops, key=lambda each: len(each.parts))
        pythons = (Path(each).resolve() for each in (sys.prefix, sys.base_prefix))
        inside = (each for each in pythons if each.is_relative_to(top) and each != top)
        return None if any(map(path.is_relative_to, inside)) else top


def _top(folder: Path) -> Path | None:
    """Return the worktree around a folder."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def origins(name: str) -> list[str]:
    """Return the origin of a loaded module: its file, or the folders of a namespace."""
    known = getattr(sys.modules[name], "__dict__", {})  # sys.modules may hold any object.
    found = [known["__file__"]] if known.get("__file__") else known.get("__path__", ())
    return [str(each) for each in found]


def _places(name: str) -> list[Path]:
    """Return the origins as real paths; none for modules of this package."""
    return [] if name.partition(".")[0] == _OURS else [*map(_resolved, origins(name))]


@cache
def _resolved(file: str) -> Path:
    """Resolve a path; cached, because thousands of modules are resolved repeatedly."""
    return Path(file).resolve()
