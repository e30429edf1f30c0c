"""The journal of a run: one line an event, on disk before the next comparison starts.

An event is ``start`` (a comparison begins in a pass) or ``sample`` (what the pass measured of it).
Everything else in a run's folder can be made again from the journal, the plan and the environment.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.record import SCHEMA, InputError, Sample
from bench.store import as_field


def append_event(journal: Path, kind: str, **event: Any) -> None:
    """Append one line to the journal; it is on disk when this returns."""
    line = json.dumps({"schema": SCHEMA, "kind": kind, **event}).encode()
    with journal.open("ab+") as file:
        # Whoever was killed while writing left half a line, which must not spoil this one.
        torn = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write((b"\n" if torn else b"") + line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def append_sample(journal: Path, sample: Sample) -> None:
    """Append what a pass measured of one comparison."""
    append_event(journal, "sample", **asdict(sample))


class JournalReader:
    """Reads a journal that another process appends to, each event once.

    A line still being written is left for the next call. ``torn`` counts lines that are no JSON:
    whoever wrote them was killed.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.position = 0
        self.torn = 0

    def new_events(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        if not self.journal.exists():
            return []
        with self.journal.open("rb") as file:
            file.seek(self.position)
            whole, end, _ = file.read().rpartition(b"\n")
        self.position += len(whole) + len(end)
        return [event for line in whole.splitlines() if (event := self._event(line))]

    def _event(self, line: bytes) -> dict[str, Any] | None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and "kind" in event:
            return event
        self.torn += 1
        return None


def read_samples(run: Path) -> list[Sample]:
    """Every sample of a run so far. Raises InputError where the journal was changed by hand."""
    journal = run / "journal.jsonl"
    try:
        return samples_from(JournalReader(journal).new_events())
    except (TypeError, ValueError) as error:
        raise InputError(f"{journal} was changed by hand ({error}); restore it") from error


def samples_from(events: Iterable[dict[str, Any]]) -> list[Sample]:
    """The samples among a journal's events, in the order in which they were measured."""
    return [_sample(event) for event in events if event["kind"] == "sample"]


def _sample(event: dict[str, Any]) -> Sample:
    names = {field.name for field in fields(Sample)}
    return Sample(**{name: as_field(value) for name, value in event.items() if name in names})
