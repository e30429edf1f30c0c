"""Write a file whole or not at all, so that no reader and no crash finds half of it. No torch."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write ``text`` as the file at ``path``; it is on disk when this returns.

    An error leaves the earlier file, if any, as it was. ``mode`` sets the permissions regardless of
    the umask. Raises OSError.
    """
    with replacing(path, text, mode=mode):
        pass


@contextmanager
def replacing(path: Path, text: str, *, mode: int | None = None) -> Iterator[None]:
    """Like ``write_atomically``, with a block that runs once the text is known to fit on the disk.

    The file takes its place after the block. If the block raises, the earlier file stays.
    """
    # No other process can predict this name, so none can put a link there, and two writers of one
    # file do not share it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
