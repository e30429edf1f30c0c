"""bench.files.atomic: a file is replaced whole or not at all, without leftovers beside it."""

import os
import stat
from pathlib import Path

import pytest

from bench.files.atomic import replacing, write_atomically
from helpers.disks import files_of_at_most


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A file with an earlier text, alone in its folder."""
    path = tmp_path / "file.txt"
    path.write_text("before", "utf-8")
    return path


def is_alone(path: Path) -> bool:
    """Return whether the folder has no other file."""
    return list(path.parent.iterdir()) == [path]


def test_text_is_written_verbatim(path: Path) -> None:
    """Line ends and non-ASCII letters are written unchanged; the earlier text is replaced."""
    write_atomically(path, "a\r\nµ\n")
    assert path.read_bytes() == b"a\r\n\xc2\xb5\n"
    assert is_alone(path)


@pytest.mark.parametrize("room_bytes", [0, 100])
def test_full_disk_keeps_the_earlier_file(path: Path, room_bytes: int) -> None:
    """On a full disk the earlier file stays, and the block does not run."""
    with (
        files_of_at_most(room_bytes),
        pytest.raises(OSError, match="too large"),
        replacing(path, "x" * 1000),
    ):
        pytest.fail("the text did not fit")
    assert path.read_text("utf-8") == "before"
    assert is_alone(path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_in_the_block_keeps_the_earlier_file(path: Path, error: type[BaseException]) -> None:
    """An error or Ctrl-C in the block leaves the earlier file unchanged."""
    with pytest.raises(error), replacing(path, "after"):
        raise error
    assert path.read_text("utf-8") == "before"
    assert is_alone(path)


def test_file_is_replaced_after_the_block(path: Path) -> None:
    """Until the block ends, readers see the earlier text."""
    with replacing(path, "after"):
        assert path.read_text("utf-8") == "before"
    assert path.read_text("utf-8") == "after"


def test_a_missing_folder_is_an_error(path: Path) -> None:
    """A missing folder is an error; it is not created."""
    with pytest.raises(FileNotFoundError):
        write_atomically(path.parent / "gone" / "file.txt", "after")
    assert is_alone(path)


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o600), (0o644, 0o644)])
def test_permissions_follow_the_umask_or_the_mode(
    path: Path, mode: int | None, expected: int
) -> None:
    """Permissions follow the umask; an explicit mode overrides it."""
    before = os.umask(0o077)
    try:
        write_atomically(path, "after", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_a_link_is_replaced_and_not_followed(path: Path) -> None:
    """A symbolic link is replaced; its target stays unchanged."""
    link = path.with_name("link.txt")
    link.symlink_to(path)
    write_atomically(link, "after")
    assert not link.is_symlink()
    assert (link.read_text("utf-8"), path.read_text("utf-8")) == ("after", "before")
