"""bench.files.atomic: whole or not at all, and nothing left beside the file."""

import os
import stat
from pathlib import Path

import pytest

from bench.files.atomic import replacing, write_atomically
from helpers.disks import files_of_at_most


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A file with a text of before, alone in its folder."""
    path = tmp_path / "file.txt"
    path.write_text("before", "utf-8")
    return path


def is_alone(path: Path) -> bool:
    """Whether no other file is in the folder."""
    return list(path.parent.iterdir()) == [path]


def test_the_text_is_written_as_it_is(path: Path) -> None:
    """Line ends and letters outside ASCII included; the earlier text is gone."""
    write_atomically(path, "a\r\nµ\n")
    assert path.read_bytes() == b"a\r\n\xc2\xb5\n"
    assert is_alone(path)


@pytest.mark.parametrize("room_bytes", [0, 100])
def test_a_full_disk_leaves_the_file_of_before(path: Path, room_bytes: int) -> None:
    """The block does not run where the text does not fit."""
    with (
        files_of_at_most(room_bytes),
        pytest.raises(OSError, match="too large"),
        replacing(path, "x" * 1000),
    ):
        pytest.fail("the text did not fit")
    assert path.read_text("utf-8") == "before"
    assert is_alone(path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_leaves_the_file_of_before(
    path: Path, error: type[BaseException]
) -> None:
    """Ctrl-C between the two as well."""
    with pytest.raises(error), replacing(path, "after"):
        raise error
    assert path.read_text("utf-8") == "before"
    assert is_alone(path)


def test_the_file_takes_its_place_after_the_block(path: Path) -> None:
    """Until then the earlier text is what others read."""
    with replacing(path, "after"):
        assert path.read_text("utf-8") == "before"
    assert path.read_text("utf-8") == "after"


def test_a_missing_folder_is_an_error(path: Path) -> None:
    """It is not made."""
    with pytest.raises(FileNotFoundError):
        write_atomically(path.parent / "gone" / "file.txt", "after")
    assert is_alone(path)


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o600), (0o644, 0o644)])
def test_permissions_follow_the_umask_or_the_mode(
    path: Path, mode: int | None, expected: int
) -> None:
    """A mode that is given holds whatever the umask."""
    before = os.umask(0o077)
    try:
        write_atomically(path, "after", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_a_link_is_replaced_and_not_followed(path: Path) -> None:
    """What it points to stays as it was."""
    link = path.with_name("link.txt")
    link.symlink_to(path)
    write_atomically(link, "after")
    assert not link.is_symlink()
    assert (link.read_text("utf-8"), path.read_text("utf-8")) == ("after", "before")
