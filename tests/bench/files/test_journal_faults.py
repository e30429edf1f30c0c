"""bench.files.journal under faults: lines changed by hand, other schemas, full disks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import append_event, read_events
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from helpers.disks import files_of_at_most
from helpers.journals import append_sample, read_samples
from helpers.records import make_comparison, make_sample

SAMPLE = make_sample(make_comparison())


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Path:
    """The path of a journal that does not exist yet."""
    return tmp_path / "journal.jsonl"


def write(journal: Path, keys: str) -> list[bytes]:
    """Append a sample for each letter and return all lines of the journal."""
    for key in keys:
        append_sample(journal, replace(SAMPLE, key=key))
    return journal.read_bytes().splitlines(keepends=True)


def keys_of(events: list[dict[str, Any]]) -> str:
    """Return the keys of events, in order."""
    return "".join(event["key"] for event in events)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"key": "b"', b'"key": "x"'),
        (b"0.008", b"0.007"),
        (b'"status": "ok"', b'"status": "oom"'),
        (b'"schema": 5', b'"schema": 2'),
        (b'"kind": "sample"', b'"kind":"sample"'),
        (b'{"schema"', b'["schema"'),
    ],
)
def test_a_line_changed_by_hand_is_an_error(journal: Path, old: bytes, new: bytes) -> None:
    """The error for a changed line names the file, the line and the remedy."""
    first, second, third = write(journal, "abc")
    assert old in second
    journal.write_bytes(first + second.replace(old, new) + third)
    message = rf"{journal} line 2 was changed by hand .*; restore it, or remove the line"
    with pytest.raises(InputError, match=message):
        read_events(journal)
    with pytest.raises(InputError, match=message):
        read_samples(journal.parent)


def test_the_line_of_the_error_counts_torn_lines_too(journal: Path) -> None:
    """The line number in an error counts every line of the file, torn ones too."""
    first, second = write(journal, "ab")
    changed = second.replace(b"0.01", b"0.02")
    journal.write_bytes(first + second[:50] + b"\n\n" + changed)
    with pytest.raises(InputError, match="line 4 was changed"):
        read_events(journal)


def test_removing_a_changed_line_mends_the_journal(journal: Path) -> None:
    """Without the changed line, which the error says to remove, the rest is read."""
    first, _, third = write(journal, "abc")
    journal.write_bytes(first + third)
    events, torn = read_events(journal)
    assert (keys_of(events), torn) == ("ac", 0)


def checked(event: dict[str, Any], journal: Path) -> bytes:
    """Return the line that the program writes for an event, with its checksum."""
    append_event(journal, **{"kind": "start", **event})
    line = journal.read_bytes()
    journal.unlink()
    return line


@pytest.mark.parametrize("lost", [1, 2])
def test_invalid_json_between_events_is_an_error(journal: Path, lost: int) -> None:
    """A line that is not JSON and has events of the same process after it is an error."""
    lines = write(journal, "abcd")
    lines[lost] = b"garbage\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(
        InputError, match=rf"line {lost + 1} was changed by hand \(it is not JSON\)"
    ):
        read_events(journal)


def test_sample_of_a_dead_process_may_follow_half_a_line(journal: Path) -> None:
    """After half a line, a sample marked as died is accepted; the half line counts as torn."""
    (first,) = write(journal, "a")
    journal.write_bytes(first + first[:30])
    append_sample(journal, replace(SAMPLE, key="b", died=True))
    events, torn = read_events(journal)
    assert (keys_of(events), torn) == ("ab", 1)


@pytest.mark.parametrize("later", [b'{"schema": 6, "what": "sum", "hash": "0"}', b'{"schema": 6}'])
def test_later_schema_may_have_other_fields(journal: Path, later: bytes) -> None:
    """A line of a later schema is refused by its schema, whatever its other fields."""
    write(journal, "a")
    journal.write_bytes(journal.read_bytes() + later + b"\n")
    with pytest.raises(InputError, match="has schema 6; this vitbench reads schema 5"):
        read_events(journal)


def test_new_process_resets_the_torn_count(journal: Path) -> None:
    """Torn lines count until another process begins and measures them again."""
    first, _ = write(journal, "ab")
    journal.write_bytes(first + first[:40] + b"\n")
    assert read_events(journal)[1] == 1
    append_event(journal, "process", pass_index=0)
    assert read_events(journal)[1] == 0


def test_later_schema_is_refused(journal: Path) -> None:
    """A line of a later schema is an error that names the remedy."""
    append_event(journal, "start", key="a")
    line = checked({"schema": SCHEMA + 1}, journal.with_name("later.jsonl"))
    with journal.open("ab") as file:
        file.write(line)
    with pytest.raises(InputError, match=rf"has schema {SCHEMA + 1}; this vitbench reads"):
        read_events(journal)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("key"),
        lambda plain: plain.update(status="fine"),
        lambda plain: plain.update(arm_s=[0.1]),
    ],
    ids=["no key", "another status", "no pairs"],
)
def test_invalid_sample_is_an_error(
    journal: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """A sample event that lacks required fields is a one-line error."""
    plain: dict[str, Any] = {"key": "a", "pass_index": 0}
    change(plain)
    append_event(journal, "sample", **plain)
    with pytest.raises(InputError, match=r"not a sample \(.*\); restore it"):
        read_samples(journal.parent)


@pytest.mark.parametrize("room_bytes", [0, 1, 60])
def test_full_disk_loses_no_event(journal: Path, room_bytes: int) -> None:
    """A full disk raises; earlier lines stay, and later ones are read once there is room."""
    (line,) = write(journal, "a")
    full = files_of_at_most(len(line) + room_bytes)
    with full, pytest.raises(OSError, match="too large"):
        append_sample(journal, replace(SAMPLE, key="b"))
    append_sample(journal, replace(SAMPLE, key="c", died=True))
    events, torn = read_events(journal)
    assert (keys_of(events), torn) == ("ac", int(room_bytes > 0))


def test_a_removed_folder_is_an_error(journal: Path) -> None:
    """Appending to a removed run folder is an error; the folder is not created again."""
    with pytest.raises(FileNotFoundError):
        append_sample(journal.parent / "gone" / journal.name, SAMPLE)
    assert not (journal.parent / "gone").exists()


@pytest.mark.parametrize("rewrite", [(b"\n", b"\r\n"), (b', "crc": "', b', "sum": "')])
def test_a_journal_rewritten_by_a_program_is_an_error(
    journal: Path, rewrite: tuple[bytes, bytes]
) -> None:
    """Whole lines without a checksum are changed, not torn: reading them is an error."""
    write(journal, "a")
    journal.write_bytes(journal.read_bytes().replace(*rewrite))
    with pytest.raises(InputError, match="line 1 was changed by hand"):
        read_events(journal)
