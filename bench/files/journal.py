"""The journal of a run: one line an event, on disk before the next comparison starts.

An event is ``process`` (a worker starts a pass or a survey), ``start`` (a comparison starts in a
pass) or ``sample`` (its outcome); ``survey_start`` and ``survey`` are the same for one arm of a
survey; ``choice`` has the comparisons that measure the chosen combinations. Everything else in a
run's folder can be made again from the journal, the plan and the environment. The temporary
journals of ``vitbench memory`` and ``vitbench profile`` have ``memory_start`` and ``memory``,
``profile_start``, ``progress`` and ``profile``. Each line ends with a checksum of what stands
before it, so that a line cut off by a kill is told from one changed by hand.
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
from bench.records.comparison import CHOICE, SCHEMA, Sample
from bench.records.errors import InputError
from bench.records.plan import Choice
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

    Raises OSError where it cannot be: no space, or the folder is gone.
    """
    line = _line({"schema": SCHEMA, "kind": kind, "time_s": time.time(), **event})
    with journal.open("ab+") as file:
        # Whoever was killed while writing left half a line, which must not spoil this one.
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


class JournalReader:
    """Reads a journal that another process appends to, each event once.

    A line still being written is left for the next call. ``torn`` counts half-written lines, whose
    writer was killed, since the last process began: what an earlier one lost was measured again.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.position = 0
        self.lines = 0
        self.torn = 0
        self._last_torn = 0

    def new_events(self, *, final: bool = False) -> list[Event]:
        """The events since the last call; with ``final`` nobody writes any more.

        Raises InputError where a line was changed by hand or is of a later schema.
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
        # A line that was cut off is no whole JSON.
        if event or _CHECKED.fullmatch(line):
            raise InputError(
                f"{self.journal} line {self.lines} was changed by hand (its checksum does not "
                "fit); restore it, or remove the line to have it measured again"
            )
        if line:
            self.torn, self._last_torn = self.torn + 1, self.lines
        return None

    def _follows(self, event: Event) -> None:
        """After a half-written line its writer is dead: only whoever started it goes on."""
        goes_on = event["kind"] in ("process", CHOICE) or event.get("died")
        if self._last_torn and not goes_on:
            raise InputError(
                f"{self.journal} line {self._last_torn} was changed by hand (it is no JSON); "
                "restore it, or remove the line to have it measured again"
            )
        self._last_torn = 0
        self.torn *= event["kind"] != "process"


def _is_whole(line: bytes, event: Event) -> bool:
    """Whether a line is an event as it was written: its checksum matches."""
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
    """Every event of a journal that nobody writes to, and the number of half-written lines."""
    reader = JournalReader(journal)
    return reader.new_events(final=True), reader.torn


def record_of(event: Event) -> Sample | Survey | Choice | None:
    """Return the record that an event holds, None for an event that only marks a beginning.

    Raises InputError where a field lacks or is of another type.
    """
    kind = _RECORDS.get(event["kind"])
    if kind is None:
        return None
    try:
        return record_from(event, kind)
    except ValueError as error:
        name = kind.__name__.lower()
        raise InputError(f"a line of the journal is no {name} ({error}); restore it") from error
