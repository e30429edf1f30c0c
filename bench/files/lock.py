"""Locks: one measuring run at a time on a device and in the folder of a run. No torch.

The locks are the kernel's (flock), so they end with the process that holds them, however it ends.
A note next to each describes its holder. It only serves the error messages of other processes.
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
    """Lock each of ``devices`` against other measuring processes of all users.

    ``holder`` describes the measurement to others, such as the command line. Does not wait: raises
    InputError, with the other process, if a device is locked, or if locks cannot be kept here. GPUs
    are distinguished by the first one in CUDA_VISIBLE_DEVICES.
    """
    folder = _shared_folder()
    with ExitStack() as stack:
        for device in sorted(set(devices)):
            try:
                stack.enter_context(_lock(folder / f"{_file_name(device)}.lock", holder))
            except Timeout as error:
                raise InputError(
                    f"device {device!r} is being measured by {_holder_of(error)}; "
                    "wait until it ends",
                    Remedy.NO_LOCK,
                ) from error
            except OSError as error:
                raise _unlockable(folder, error) from error
        yield


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder of a run against other writing processes.

    Does not wait: raises InputError, with the other process, if the folder is locked, or if it
    cannot be.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_lock(folder / ".lock", f"writes {folder}"))
        except Timeout as error:
            raise InputError(
                f"folder {folder} is being written by {_holder_of(error)}; wait until it ends"
            ) from error
        except OSError as error:
            raise InputError(
                f"folder {folder} cannot be locked ({error.strerror or error}); "
                "use one that you may write, on a local disk"
            ) from error
        yield


@contextmanager
def _lock(path: Path, holder: str) -> Iterator[None]:
    """Hold one lock. Raises Timeout at once if another process holds it; OSError if it cannot be.

    Every user may open the file. It stays when the lock ends: a removed file could still be open in
    one process while another makes a new one.
    """
    path.parent.stat()  # A missing folder is an error; the library would make it.
    lock, note = FileLock(path, mode=0o666, thread_local=False), _note(path)
    lock.acquire(blocking=False)
    try:
        with suppress(OSError):  # A full disk prevents notes, not locks.
            _write_note(note, holder)
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def _shared_folder() -> Path:
    """Return the folder of locks of all users. Raises InputError if it cannot be made."""
    folder = Path(_FOLDER)
    try:
        folder = Path(tempfile.gettempdir()) / _FOLDER
        _share(folder)
    except OSError as error:
        raise _unlockable(folder, error) from error
    return folder


def _share(folder: Path) -> None:
    """Make a folder that every user may write, or use the existing one. Raises OSError."""
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link")
    with suppress(PermissionError):  # Another user made it with this mode.
        # No sticky bit: with it the kernel would refuse to open files of other users.
        folder.chmod(0o777)


def _unlockable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"locks cannot be kept in {folder} ({error.strerror or error}); set TMPDIR to a folder "
        "that every user may write",
        Remedy.NO_LOCK,
    )


def _file_name(device: str) -> str:
    """Return the name of a device's lock, the same in all processes that use the device."""
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
    except (KeyError, OSError):  # A container's user may lack a name.
        return str(os.getuid())


def _holder_of(refused: Timeout) -> str:
    """Return the holder of a lock in one line, by the note of a living process."""
    import psutil

    try:
        note: dict[str, Any] = json.loads(_note(Path(refused.lock_file)).read_text("utf-8"))
        pid, words = int(note["pid"]), [note[key] for key in ("user", "since", "holder")]
        alive = psutil.pid_exists(pid)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        alive = False
    if not alive:
        return "an unidentified process"
    user, since, holder = (" ".join(str(word).split())[:_LONGEST] for word in words)
    return f"process {pid} of {user} since {since} ({holder})"
