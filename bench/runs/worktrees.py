"""A git revision beside the tree that one works in: checked out for as long as it is measured."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.machine.git import run_git
from bench.records.errors import InputError

_SECONDS = 300.0
_PREFIX = "vitbench-regress-"
_OWNER = re.compile(_PREFIX + r"(\d{1,9})-\w+")


def _git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises InputError with its own words where it fails."""
    try:
        done = run_git(folder, *arguments, timeout_s=_SECONDS)
    except FileNotFoundError as error:
        raise InputError(f"{error}; install it to compare with a revision") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"git {arguments[0]} failed in {folder}: {said[-1]}")
    return done.stdout.strip()


def repository_of(folder: Path) -> Path:
    """The top folder of the working tree. Raises InputError where there is none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except InputError as error:
        raise InputError(
            f"{folder} is in no git repository; run from the tree that is to be compared"
        ) from error


def commit_of(repository: Path, revision: str) -> str:
    """The commit that a revision names. Raises InputError where it names none."""
    try:
        return _git(
            repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
        )
    except InputError as error:
        raise InputError(
            f"revision {revision!r} is unknown in {repository}; expected a branch, tag or commit "
            "that is fetched (in CI: a checkout with its history, fetch-depth: 0)"
        ) from error


def head_of(folder: Path) -> str | None:
    """The commit that is checked out in a folder; None where git does not know it."""
    try:
        return commit_of(folder, "HEAD")
    except InputError:
        return None


def has_changes(folder: Path) -> bool:
    """Whether files that git knows are other than committed, in the tree in which a folder lies."""
    try:
        return bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except InputError:
        return False


def _forget_the_dead(repository: Path) -> None:
    """Remove the worktrees of processes that have ended."""
    import psutil

    lines = _git(repository, "worktree", "list", "--porcelain").splitlines()
    for line in lines:
        kind, _, place = line.partition(" ")
        found = _OWNER.fullmatch(Path(place).parent.name)
        if kind == "worktree" and found and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(Path(place).parent, ignore_errors=True)
    _git(repository, "worktree", "prune")


def _copy_generated(repository: Path, folder: Path) -> None:
    """Give a worktree the modules that an installation writes beside the others, and git ignores.

    Such as ``_version.py``; the package would not import without.
    """
    ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "*.py")
    for name in filter(None, _git(repository, *ignored).split("\0")):
        goal = folder / name
        if goal.parent.is_dir() and not goal.exists():
            shutil.copy(repository / name, goal)


@contextmanager
def checked_out(repository: Path, commit: str) -> Iterator[Path]:
    """Yield a worktree of one commit in a temporary folder, which is removed afterwards.

    The name of that folder holds the number of this process; those of killed ones are removed, too.
    """
    _forget_the_dead(repository)
    parent = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder = parent / "base"
    try:
        _git(repository, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
        _copy_generated(repository, folder)
        yield folder
    finally:
        shutil.rmtree(parent, ignore_errors=True)
        _git(repository, "worktree", "prune")
