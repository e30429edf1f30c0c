"""Find the targets of the gate at the base, also those that were moved since."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

from bench.machine.git import ask_git
from bench.records.errors import InputError
from bench.runs.targets import Target
from bench.usercode.sources import binds
from bench.usercode.spec import ArmSpec, FunctionRef

# Part of the lines that a moved file shares with its origin at least, as in git.
_SIMILAR = 0.5


@dataclass(frozen=True, kw_only=True)
class BaseTarget:
    """A target at the base: the arm there, and the folders that both are imported from."""

    arm: ArmSpec
    here: Path
    there: Path


@dataclass(frozen=True, kw_only=True)
class Trees:
    """This tree, and the folder of the base that is checked out beside it."""

    here: Path
    base: Path


def find_at_base(target: Target, root: Path, trees: Trees) -> BaseTarget | None:
    """Return a target at the base: the one given for it, the same one, or the one it moved from.

    ``root`` is the folder of this tree from which the target is imported. None if the base has no
    such target. Raises InputError if it lacks the given one.
    """
    there = trees.base / root.relative_to(trees.here)
    if target.at_base is not None:
        return _given(target.at_base, root, trees, there)
    code = target.arm.code
    if is_at(there, target.arm) or not isinstance(code, FunctionRef) or code.file is None:
        return BaseTarget(arm=target.arm, here=root, there=there)
    origin = _origin(code.file.resolve(), code.name, trees)
    return None if origin is None else _moved(code, origin, root, trees, there)


def is_at(root: Path, arm: ArmSpec) -> bool:
    """Return whether a tree defines the function of an arm, as far as its source shows.

    A part of vitcore, and a module that is not a Python file, may be there.
    """
    code = arm.code
    if not isinstance(code, FunctionRef) or (code.file and code.file.suffix != ".py"):
        return True
    return any(binds(file, code.name) for file in _files(root, code))


def _files(root: Path, code: FunctionRef) -> tuple[Path, ...]:
    if code.is_file:
        return (root / code.place,)
    *packages, last = code.place.split(".")
    folder = root.joinpath(*packages)
    return folder / f"{last}.py", folder / last / "__init__.py"


def check_here(roots: Mapping[Target, Path]) -> None:
    """Raise InputError if this tree lacks the function of a target: it would stay new."""
    for target, root in roots.items():
        code = target.arm.code
        is_known = isinstance(code, FunctionRef) and code.file is not None
        if isinstance(code, FunctionRef) and is_known and not is_at(root, target.arm):
            raise InputError(
                f"{target}: {code.file} has no {code.name!r}; name a function that this tree has"
            )


def _given(arm: ArmSpec, root: Path, trees: Trees, there: Path) -> BaseTarget:
    """Return a target whose arm at the base was given: from the same folder, or another one."""
    for folder in dict.fromkeys((there, trees.base, trees.base / "src")):
        if is_at(folder, arm):
            return BaseTarget(arm=arm, here=root, there=folder)
    raise InputError(
        f"base target {arm.text!r} is not at the base; name a function that the base has, a file "
        "by its path from here"
    )


def _moved(code: FunctionRef, origin: Path, root: Path, trees: Trees, there: Path) -> BaseTarget:
    """Return a target that was in another file of the base."""
    file = trees.base / origin
    if code.is_file:
        moved = replace(code, place=os.path.relpath(file, there), file=None)
        return BaseTarget(arm=_arm(moved), here=root, there=there)
    folder = there if file.is_relative_to(there) else _import_folder(file)
    path = file.relative_to(folder).with_suffix("")
    parts = path.parts[:-1] if path.name == "__init__" else path.parts
    moved = replace(code, place=".".join(parts), file=None)
    return BaseTarget(arm=_arm(moved), here=root, there=folder)


def _arm(code: FunctionRef) -> ArmSpec:
    return ArmSpec(text=str(code), code=code)


def _import_folder(file: Path) -> Path:
    """Return the folder from which a file is imported: the first that is no package."""
    return next(each for each in file.parents if not (each / "__init__.py").exists())


def _origin(file: Path, name: str, trees: Trees) -> Path | None:
    """Return the path at the base of the file that a target was moved from, and None if unknown."""
    for path in _renames(file, trees):
        if binds(trees.base / path, name):
            return path
    text = _lines(file)
    found = {path: _likeness(text, _lines(trees.base / path)) for path in _lost(name, trees)}
    best = max(found, key=lambda path: found[path], default=None)
    return best if best is not None and found[best] >= _SIMILAR else None


def _renames(file: Path, trees: Trees) -> Iterator[Path]:
    """Yield earlier paths of a committed file since the base, the oldest first."""
    words = ("log", "--follow", "--format=", "--name-status", "-z", "--diff-filter=R")
    variables = {"GIT_NO_LAZY_FETCH": "0", "GIT_LITERAL_PATHSPECS": "1"}
    with suppress(InputError, ValueError):  # ValueError: a link from elsewhere.
        path = file.relative_to(trees.here).as_posix()
        head = ask_git(trees.here, "rev-parse", "--verify", "HEAD")
        # In the base's repository, which may fetch what a partial clone lacks.
        log = ask_git(trees.base, *words, f"HEAD..{head}", "--", path, variables=variables)
        fields = [field for field in log.split("\0") if field.strip()]
        # Of each rename three: R100, the old path, the new one; the last is the oldest.
        yield from map(Path, reversed(fields[1::3]))


def _lost(name: str, trees: Trees) -> Iterator[Path]:
    """Yield the paths of the base's files that bind a name which they do not bind here."""
    listed = ask_git(trees.base, "ls-files", "-z", "--", "*.py")
    for path in map(Path, filter(None, listed.split("\0"))):
        file = trees.base / path
        is_there = _mentions(file, name) and binds(file, name)
        if is_there and not binds(trees.here / path, name):
            yield path


def _mentions(file: Path, name: str) -> bool:
    try:
        return name.encode() in file.read_bytes()
    except OSError:
        return False


def _lines(file: Path) -> list[bytes]:
    return [line.strip() for line in file.read_bytes().splitlines() if line.strip()]


def _likeness(a: list[bytes], b: list[bytes]) -> float:
    return SequenceMatcher(None, a, b, autojunk=False).ratio()
