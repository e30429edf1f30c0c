"""Check out a git revision in a temporary folder for the time of its measurement.

The folder is a repository of its own, which reads the objects and settings of the user's: nothing
is written to the user's repository, not even when this process is killed.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.records.errors import InputError
from bench.runs.checkouts import fill

_PREFIX = "vitbench-regress-"
_LOCK = "lock"


@contextmanager
def checked_out(repository: Path, commit: str, copied: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield a folder with the files of one commit, which is removed afterwards.

    ``copied`` are files and folders of the working tree that git does not have. Submodules are
    filled from what is on disk. Folders of processes that were killed are removed, too. Raises
    InputError with git's reason if the commit cannot be checked out.
    """
    _remove_stale()
    parent = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    lock = os.open(parent / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        # The kernel ends the lock with this process, however that ends.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = parent / "base"
        fill(repository, commit, folder, folder / ".git")
        for path in copied:
            _copy(path, repository, folder)
        yield folder
    finally:
        shutil.rmtree(parent, ignore_errors=True)
        os.close(lock)


def _remove_stale() -> None:
    """Remove the folders whose processes have ended."""
    for parent in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # Held, another user's, or without a lock: not to be removed.
            lock = os.open(parent / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(parent, ignore_errors=True)
            finally:
                os.close(lock)


def _copy(path: Path, repository: Path, folder: Path) -> None:
    """Copy a file or folder to its place in another tree. Raises InputError if it cannot be."""
    origin = path.parent.resolve() / path.name  # Not where a link points to.
    if not origin.is_relative_to(repository) or not origin.exists():
        raise InputError(f"{path} to copy is not in {repository}; give a path from here")
    goal = folder / origin.relative_to(repository)
    if goal.exists():
        raise InputError(f"{path} to copy is at the base already; leave it out of --copy")
    goal.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, goal, symlinks=True)
    else:
        shutil.copy2(origin, goal)
