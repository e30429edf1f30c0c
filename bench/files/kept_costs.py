"""Costs of cases that are the same in every run, kept on disk between runs. No torch.

One file holds the costs for one state of everything that they depend on other than the case: code,
torch, processor. It lies in the user's cache folder (XDG Base Directory Specification 0.8), or
where the variable VITBENCH_CACHE says. A file that cannot be read or written is no error: its costs
are computed again.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.files.atomic import write_atomically
from bench.files.run_folder import digest
from bench.records.arm_costs import Case, ComputedCosts

# A folder for the kept costs, or OFF.
VARIABLE = "VITBENCH_CACHE"
OFF = "off"
_DIGITS = 16
_NAMES = f"costs-{'[0-9a-f]' * _DIGITS}.json"
# Files of earlier versions of the code or of torch beyond these are removed.
_MOST_FILES = 16
_NOTHING = ComputedCosts()


def cache_folder() -> Path | None:
    """Return the folder of the kept costs, which may not exist yet; None to keep none.

    None if VITBENCH_CACHE is ``off``, if the user has no home, and if the user's cache folder is in
    a repository, as in some containers.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return None if given == OFF else Path(given).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification asks to ignore a relative path.
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            return None
    folder = base / "vitbench"
    return None if any((each / ".git").exists() for each in folder.parents) else folder


@dataclass(frozen=True, kw_only=True)
class _Kept:
    case: Case
    costs: ComputedCosts


@dataclass(frozen=True, kw_only=True)
class _File:
    depends_on: dict[str, str]
    kept: tuple[_Kept, ...]


class KeptCosts:
    """The costs kept for one state of all that they depend on, by case.

    ``depends_on`` names this state. Without a folder the costs are kept in this process alone.
    """

    def __init__(self, folder: Path | None, depends_on: Mapping[str, str]) -> None:
        self.depends_on = dict(sorted(depends_on.items()))
        name = digest(msgspec.json.encode(self.depends_on))[:_DIGITS]
        self.file = folder / f"costs-{name}.json" if folder else None
        self.known = self._read()

    def of(self, case: Case) -> ComputedCosts:
        """Return the costs of a case; without any, a record of nothing but None."""
        return self.known.get(case, _NOTHING)

    def keep(self, case: Case, costs: ComputedCosts) -> None:
        """Keep the costs of a case from now on, together with those that another run has kept."""
        if costs == self.of(case):
            return
        self.known = {**self._read(), **self.known, case: costs}
        if self.file is not None:
            with suppress(OSError):
                self._write(self.file)

    def _read(self) -> dict[Case, ComputedCosts]:
        """Return the costs in the file; none if it is missing, broken or not readable."""
        if self.file is None:
            return {}
        try:
            found = msgspec.json.decode(self.file.read_bytes(), type=_File)
        except (OSError, ValueError, RecursionError):
            return {}
        if found.depends_on != self.depends_on:
            return {}
        return {each.case: each.costs for each in found.kept}

    def _write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = tuple(_Kept(case=case, costs=costs) for case, costs in self.known.items())
        content = msgspec.json.encode(_File(depends_on=self.depends_on, kept=kept))
        write_atomically(file, content.decode())
        _remove_old(file.parent)


def _remove_old(folder: Path) -> None:
    """Remove all but the last written files of kept costs; leave other files alone."""
    files = sorted(folder.glob(_NAMES), key=lambda each: each.stat().st_mtime)
    for each in files[:-_MOST_FILES]:
        each.unlink(missing_ok=True)
