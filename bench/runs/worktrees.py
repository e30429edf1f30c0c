"""Check out a git revision in a temporary worktree for the time of its measurement."""

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
    """Return the output of git. Raises InputError with git's message if it fails."""
    try:
        done = run_git(folder, *arguments, timeout_s=_SECONDS)
    except FileNotFoundError as error:
        raise InputError(f"{error}; install it to compare with a revision") from error
    if done.returncode:
        message = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(
            f"git {arguments[0]} failed in {folder}: {message[-1]}; correct the cause and try again"
        )
    return done.stdout.strip()


def repository_of(folder: Path) -> Path:
    """Return the top folder of the working tree. Raises InputError if there is none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except InputError as error:
        raise InputError(
            f"{folder} is not in a git repository; run from the tree to compare"
        ) from error


def commit_of(repository: Path, revision: str) -> str:
    """Return the commit of a revision. Raises InputError for an unknown revision."""
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
    """Return the commit checked out in a folder; None outside of a repository."""
    try:
        return commit_of(folder, "HEAD")
    except InputError:
        return None


def has_changes(folder: Path) -> bool:
    """Return whether tracked files of the working tree around a folder have changes."""
    try:
        return bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except InputError:
        return False


def _remove_stale(repository: Path) -> None:
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
    """Copy the modules that an installation generates and git ignores into a worktree.

    For example ``_version.py``: the package would not import without it.
    """
    ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "*.py")
    for name in filter(None, _git(repository, *ignored).split("\0")):
        goal = folder / name
        if goal.parent.is_dir() and not goal.exists():
            shutil.copy(repository / name, goal)


@contextmanager
def checked_out(repository: Path, commit: str) -> Iterator[Path]:
    """Yield a worktree of one commit in a temporary folder, which is removed afterwards.

    The folder's name contains the id of this process; folders of ended processes are removed, too.
    """
    _remove_stale(repository)
    parent = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder = parent / "base"
    try:
        _git(repository, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
        _copy_generated(repository, folder)
        yield folder
    finally:
        shutil.rmtree(parent, ignore_errors=True)
        _git(repository, "worktree", "prune")
