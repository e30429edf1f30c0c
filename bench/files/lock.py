"""One measuring run at a time: on a device, and in the folder of a run. No torch.

The locks are the kernel's (flock), so they end with the process that holds them, however it ends.
Beside each lies a note that says who holds it, for the message to others; nothing else relies on
it.
"""

import errno
import getpass
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.files.atomic import write_atomically
from bench.records.errors import InputError, Remedy

_FOLDER = "vitbench-locks"
_LONGEST = 100


@contextmanager
def device_locks(devices: Sequence[str], holder: str) -> Iterator[None]:
    """Measure alone on each of ``devices`` until the block ends, among all users of the machine.

    ``holder`` tells others what is measured, such as the command line. Does not wait: raises
    InputError where another process measures on one of them, and names it, or where locks cannot
    be kept here. GPUs are told apart by the first that CUDA_VISIBLE_DEVICES names.
    """
    folder = _shared_folder()
    with ExitStack() as stack:
        for device in sorted(set(devices)):
            try:
                stack.enter_context(_held(folder / f"{_file_name(device)}.lock", holder))
            except Timeout as error:
                raise InputError(
                    f"device {device!r} is being measured by {_who(error)}; wait for its end",
                    Remedy.NO_LOCK,
                ) from error
            except OSError as error:
                raise _unlockable(folder, error) from error
        yield


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Write to the folder of a run alone until the block ends.

    Does not wait: raises InputError where another process writes there, and names it, or where the
    folder cannot be locked.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_held(folder / ".lock", f"writes {folder}"))
        except Timeout as error:
            raise InputError(
                f"folder {folder} is being written by {_who(error)}; wait for its end"
            ) from error
        except OSError as error:
            raise InputError(
                f"folder {folder} cannot be locked ({error.strerror or error}); "
                "use one that you may write, on a local disk"
            ) from error
        yield


@contextmanager
def _held(path: Path, holder: str) -> Iterator[None]:
    """Hold one lock. Raises Timeout, at once, where another holds it; OSError where it cannot be.

    Any user may open the file; it stays when the lock ends, since a file that is removed could
    still be opened by one process and made anew by another.
    """
    path.parent.stat()  # A folder that is gone is an error; the library would make it anew.
    lock, note = FileLock(path, mode=0o666, thread_local=False), _note(path)
    lock.acquire(blocking=False)
    try:
        with suppress(OSError):  # A full disk forbids notes, but no lock.
            _write_note(note, holder)
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def _shared_folder() -> Path:
    """The folder of locks for all users. Raises InputError where it cannot be made."""
    folder = Path(_FOLDER)
    try:
        folder = Path(tempfile.gettempdir()) / _FOLDER
        _share(folder)
    except OSError as error:
        raise _unlockable(folder, error) from error
    return folder


def _share(folder: Path) -> None:
    """Make a folder for everybody, or use the one that is there. Raises OSError."""
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link")
    with suppress(PermissionError):  # Another user made it, and gave it this mode.
        # No sticky bit: in such a folder the kernel keeps users from opening others' files.
        folder.chmod(0o777)


def _unlockable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"locks cannot be kept in {folder} ({error.strerror or error}); set TMPDIR to a folder "
        "that every user may write",
        Remedy.NO_LOCK,
    )


def _file_name(device: str) -> str:
    """A file's name for a device, the same for all processes that would measure on it."""
    if device == "cuda":
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
        device = f"cuda-{first or 0}"
    return re.sub(r"[^\w-]", "_", device)


def _note(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.json")


def _write_note(path: Path, holder: str) -> None:
    """Describe this process in the note of its lock, in place of an earlier holder's."""
    started = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    note = {"pid": os.getpid(), "user": _user(), "holder": holder, "since": started}
    write_atomically(path, json.dumps(note), mode=0o644)  # Other users read it, too.


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container's user need not have a name.
        return str(os.getuid())


def _who(refused: Timeout) -> str:
    """Who holds the lock, in one line, as far as a living process says so in its note."""
    import psutil

    try:
        note: dict[str, Any] = json.loads(_note(Path(refused.lock_file)).read_text("utf-8"))
        pid, words = int(note["pid"]), [note[key] for key in ("user", "since", "holder")]
        alive = psutil.pid_exists(pid)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        alive = False
    if not alive:
        return "another process, which left no note"
    user, since, holder = (" ".join(str(word).split())[:_LONGEST] for word in words)
    return f"process {pid} of {user} since {since} ({holder})"
