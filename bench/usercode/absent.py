"""Files that a tree has and the base beside it lacks: submodules, and files outside of git."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.machine.git import ask_git, run_git
from bench.records.errors import InputError
from bench.usercode.worktree_finder import Worktrees

_GITLINK = "160000"


def absent_remedy(error: BaseException, tree: Path) -> str | None:
    """Return what to do about a file or module that the base lacks, if that explains an error.

    ``tree`` is a folder of the base, from which an arm was built. None if nothing is known.
    """
    trees = Worktrees.of(tree.resolve())
    if not isinstance(error, ImportError | OSError) and str(trees.there) not in str(error):
        return None
    for path, commit in gitlinks(trees.there):
        if not any((trees.there / path).iterdir()):
            return (
                f"submodule {path} is empty at the base, whose commit of it is not on disk: git "
                f"submodule update --init {path} && git -C {path} fetch origin {commit}"
            )
    for file in _wanted(error, tree, trees):
        if file.exists() and not _is_tracked(file, trees.here):
            name = os.path.relpath(file)
            return f"{name} is not in git, so the base lacks it: give --copy {name}"
    return None


def gitlinks(folder: Path, variables: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield path and commit of each submodule of a working tree that has a folder there."""
    with suppress(InputError):
        staged = ask_git(folder, "ls-files", "--stage", "-z", variables=variables)
        for entry in filter(None, staged.split("\0")):
            facts, _, path = entry.partition("\t")
            mode, commit, _ = facts.split()
            if mode == _GITLINK and (folder / path).is_dir():
                yield path, commit


def _is_tracked(file: Path, here: Path) -> bool:
    words = ("--literal-pathspecs", "ls-files", "--error-unmatch", "--", str(file))
    return run_git(here, *words).returncode == 0


def _wanted(error: BaseException, tree: Path, trees: Worktrees) -> Iterator[Path]:
    """Yield paths in this tree that an error about the base may mean."""
    named = [str(error.filename)] if isinstance(error, OSError) and error.filename else []
    named += re.findall(re.escape(str(trees.there)) + r"[^'\":\n]*", str(error))
    for path in map(Path, named):
        if path.is_relative_to(trees.there) and path != trees.there:
            yield trees.here / path.relative_to(trees.there)
    if isinstance(error, ModuleNotFoundError) and error.name:
        root = trees.here / tree.resolve().relative_to(trees.there)
        for folder in dict.fromkeys((root, trees.here, trees.here / "src")):
            stem = folder.joinpath(*error.name.split("."))
            yield from (stem.with_name(f"{stem.name}.py"), stem)
            yield from stem.parent.glob(f"{stem.name}.*so")
