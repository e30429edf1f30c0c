"""The journal of a run: one line per event, on disk before the next group starts.

An event is ``process`` (a worker starts a pass or a survey), ``start`` (a group of comparisons
starts in a pass), ``sample`` (the measurement of one of them) or ``group`` (all of them are done);
``survey_start`` and ``survey`` are the same for one arm of a survey; ``progress`` says what a
measurement waits for, ``alive`` that it goes on; ``choice`` has comparisons that the run chose by
its rows. Everything else in a run's folder can be rebuilt from the journal, the plan and the
environment. The temporary journals of ``vitbench memory`` and ``vitbench profile`` have
``memory_start`` and ``memory``, ``profile_start``, ``progress`` and ``profile``. Each line ends
with a checksum of the text before it, which distinguishes a line cut off by a kill from one changed
by hand.
"""

import json
import os
import re
import time
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.files.run_folder import check_schema, record_from
from bench.records.arm_costs import Survey
from bench.records.comparison import CHOICE, SCHEMA
from bench.records.errors import InputError
from bench.records.plan import Choice
from bench.records.sample import Sample
from bench.records.task import Job, Outcome, PassJob

# One line of the journal, parsed.
Event = dict[str, Any]

_RECORDS: dict[str, type[Sample | Survey | Choice]] = {
    "sample": Sample,
    "survey": Survey,
    CHOICE: Choice,
}
_CHECKED = re.compile(rb'(.*), "crc": "([0-9a-f]{8})"\}', flags=re.DOTALL)


def _line(event: Event) -> bytes:
    body = json.dumps(event)[:-1].encode()
    return body + f', "crc": "{zlib.crc32(body):08x}"}}\n'.encode()


def append_event(journal: Path, kind: str, **event: Any) -> None:
    """Append one line to the journal; it is on disk when this returns.

    Raises OSError if it cannot be written: no space, or the folder was removed.
    """
    line = _line({"schema": SCHEMA, "kind": kind, "time_s": time.time(), **event})
    with journal.open("ab+") as file:
        # A process that was killed while writing left half a line: start on a new one.
        torn = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write((b"\n" if torn else b"") + line)
        file.flush()
        os.fsync(file.fileno())


def append_start(journal: Path, job: Job) -> None:
    """Append that a job starts."""
    index = {"pass_index": job.pass_index} if isinstance(job, PassJob) else {}
    append_event(journal, job.start, key=job.key, **index)


def append_outcome(journal: Path, job: Job, outcome: Outcome, *, died: bool = False) -> None:
    """Append the outcome of a job; ``died``: its process ended before the job did."""
    append_event(journal, job.done, **{"key": job.key, **asdict(outcome), "died": died})


def append_sample(journal: Path, sample: Sample) -> None:
    """Append the sample of one comparison in one pass."""
    append_event(journal, "sample", **asdict(sample))


class JournalReader:
    """Reads each event once from a journal that another process appends to.

    A line that is still being written is left for the next call. ``torn`` counts the half-written
    lines of killed processes since the last ``process`` event: that process measures again what
    was lost before.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.position = 0
        self.lines = 0
        self.torn = 0
        self._last_torn = 0

    def new_events(self, *, final: bool = False) -> list[Event]:
        """Return the events since the last call; ``final``: no process writes any more.

        Raises InputError for a line that was changed by hand or has another schema.
        """
        if not self.journal.exists():
            return []
        with self.journal.open("rb") as file:
            file.seek(self.position)
            text = file.read()
        whole, end, rest = text.rpartition(b"\n")
        self.position += len(whole) + len(end)
        lines = whole.split(b"\n") if end else []
        if final and rest:
            self.position += len(rest)
            lines.append(rest)
        return [event for line in lines if (event := self._event(line))]

    def _event(self, line: bytes) -> Event | None:
        self.lines += 1
        event = _parsed(line)
        if event:
            check_schema(self.journal, event.get("schema"))
        if event and _is_whole(line, event):
            self._follows(event)
            return event
        # A line that was cut off is not valid JSON.
        if event or _CHECKED.fullmatch(line):
            raise InputError(
                f"{self.journal} line {self.lines} was changed by hand (its checksum does not "
                "match); restore it, or remove the line to have it measured again"
            )
        if line:
            self.torn, self._last_torn = self.torn + 1, self.lines
        return None

    def _follows(self, event: Event) -> None:
        """Check the event after a half-written line: its writer is dead, so its parent continues.

        Raises InputError if the dead process continues: the line was changed by hand.
        """
        is_parent = event["kind"] in ("process", CHOICE) or event.get("died")
        if self._last_torn and not is_parent:
            raise InputError(
                f"{self.journal} line {self._last_torn} was changed by hand (it is not JSON); "
                "restore it, or remove the line to have it measured again"
            )
        self._last_torn = 0
        self.torn *= event["kind"] != "process"


def _is_whole(line: bytes, event: Event) -> bool:
    """Return whether a line is an event as it was written: its checksum matches."""
    checked = _CHECKED.fullmatch(line)
    if "kind" not in event or checked is None:
        return False
    return f"{zlib.crc32(checked[1]):08x}" == checked[2].decode()


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def read_events(journal: Path) -> tuple[list[Event], int]:
    """Return every event of a finished journal, and the number of half-written lines."""
    reader = JournalReader(journal)
    return reader.new_events(final=True), reader.torn


def record_of(event: Event) -> Sample | Survey | Choice | None:
    """Return the record in an event; None for an event without one.

    Raises InputError for a field that is missing or of another type.
    """
    kind = _RECORDS.get(event["kind"])
    if kind is None:
        return None
    try:
        return record_from(event, kind)
    except ValueError as error:
        name = kind.__name__.lower()
        raise InputError(f"a line of the journal is not a {name} ({error}); restore it") from error
