"""Two worktrees of one repository: what Python would find in one is found in the other."""

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

# This program, which goes on while versions of others, or of itself, are loaded.
_OURS = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Worktrees(MetaPathFinder):
    """The worktree that one works in, ``here``, and the one that is imported from, ``there``.

    They may be the same; one may lie in the other. As a finder it answers before all others.
    """

    here: Path
    there: Path

    @classmethod
    def of(cls, tree: Path) -> Self:
        """Those of the working directory and of a folder; a folder in no worktree is its own."""
        there = _top(tree) or tree
        return cls(_top(Path.cwd().resolve()) or there, there)

    def moved(self, entry: str) -> str:
        """An entry of ``sys.path``, as the other worktree has it."""
        path = Path(entry or Path.cwd()).resolve()
        return str(self._other(path)) if self._home(path) == self.here else entry

    def is_of_either(self, name: str) -> bool:
        """Whether a loaded module, of another program than this, lies in one of the worktrees."""
        return any(self._home(path) is not None for path in _places(name))

    def is_astray(self, name: str) -> bool:
        """Whether a loaded module lies here, where it should lie there."""
        return self.here != self.there and any(
            self._home(path) == self.here for path in _places(name)
        )

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the others find, there instead of here; what is not there is no module."""
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
        """The worktree to which a file belongs; none where it was installed into one."""
        tops = [top for top in (self.here, self.there) if path.is_relative_to(top)]
        if not tops or _INSTALLED & set(path.parts):
            return None
        top = max(tops, key=lambda each: len(each.parts))
        pythons = (Path(each).resolve() for each in (sys.prefix, sys.base_prefix))
        inside = (each for each in pythons if each.is_relative_to(top) and each != top)
        return None if any(map(path.is_relative_to, inside)) else top


def _top(folder: Path) -> Path | None:
    """The worktree in which a folder lies."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def origins(name: str) -> list[str]:
    """Where a loaded module comes from: its file, or the folders of a namespace."""
    known = getattr(sys.modules[name], "__dict__", {})  # Anything may stand in the table.
    found = [known["__file__"]] if known.get("__file__") else known.get("__path__", ())
    return [str(each) for each in found]


def _places(name: str) -> list[Path]:
    """The same as real paths; of this program's own modules nothing."""
    return [] if name.partition(".")[0] == _OURS else [*map(_resolved, origins(name))]


@cache
def _resolved(file: str) -> Path:
    """Thousands of modules are asked for theirs again and again."""
    return Path(file).resolve()
