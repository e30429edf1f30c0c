"""bench.files.journal: every event is read once, and each kind of damage is recognized."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.files.journal import (
    JournalReader,
    append_event,
    read_events,
)
from bench.records.arm_costs import Graphs, Limit, MeasuredMemory
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from bench.records.sample import Sample
from helpers.journals import append_sample, append_survey, read_samples, samples_from, surveys_from
from helpers.records import make_comparison, make_note, make_sample, make_survey

SAMPLE = make_sample(make_comparison(), causes={"steal": 1}, disturbed=(3,), unsettled=("arm",))


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Path:
    """The path of a journal that does not exist yet."""
    return tmp_path / "journal.jsonl"


def sample(key: str, pass_index: int = 0) -> Sample:
    """Return a sample of the comparison ``key``."""
    return replace(SAMPLE, key=key, pass_index=pass_index)


def write(journal: Path, keys: str) -> list[bytes]:
    """Append a sample for each letter and return all lines of the journal."""
    for key in keys:
        append_sample(journal, sample(key))
    return journal.read_bytes().splitlines(keepends=True)


def keys_of(events: list[dict[str, Any]]) -> str:
    """Return the keys of events, in order."""
    return "".join(event["key"] for event in events)


def test_each_event_is_returned_once(journal: Path) -> None:
    """A reader returns the events added since its last call; without a file, none."""
    reader = JournalReader(journal)
    assert reader.new_events() == []
    append_event(journal, "start", key="a", pass_index=0)
    append_sample(journal, SAMPLE)
    start, measured = reader.new_events()
    assert (start["kind"], start["key"], start["schema"]) == ("start", "a", SCHEMA)
    assert start["time_s"] > 1.7e9
    assert samples_from([start, measured]) == [SAMPLE]
    assert reader.new_events() == []
    append_event(journal, "start", key="b")
    assert keys_of(reader.new_events()) == "b"


@settings(deadline=None)
@given(cut=st.integers(0, 10**6))
def test_line_being_written_is_read_later(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """At any position of the writer, whole lines are returned and the rest follows later."""
    journal = tmp_path_factory.mktemp("run") / "journal.jsonl"
    text = b"".join(write(journal, "abc"))
    cut %= len(text) + 1
    journal.write_bytes(text[:cut])
    reader = JournalReader(journal)
    before = reader.new_events()
    with journal.open("ab") as file:
        file.write(text[cut:])
    assert len(before) == text[:cut].count(b"\n")
    assert keys_of(before + reader.new_events()) == "abc"
    assert reader.torn == 0


def test_half_written_line_loses_one_event(journal: Path) -> None:
    """A cut at any position counts as one torn line; the next event has a line of its own."""
    append_event(journal, "start", key="a")
    first = journal.read_bytes()
    append_event(journal, "start", key="b")
    second = journal.read_bytes()[len(first) :]
    for cut in range(1, len(second) - 1):
        journal.write_bytes(first + second[:cut])
        events, torn = read_events(journal)
        assert (keys_of(events), torn) == ("a", 1), second[:cut]
        append_event(journal, "sample", key="c", died=True)
        events, torn = read_events(journal)
        assert (keys_of(events), torn) == ("ac", 1), second[:cut]


def test_no_half_written_line_counts_no_torn_line(journal: Path) -> None:
    """An absent file, an empty one or a cut between lines counts no torn line."""
    assert read_events(journal) == ([], 0)
    first, _ = write(journal, "ab")
    journal.write_bytes(first)
    assert read_events(journal)[1] == 0
    journal.write_bytes(b"")
    assert read_events(journal) == ([], 0)


def test_line_without_its_line_break_counts_once(journal: Path) -> None:
    """A line that lacks its line break counts once; the next event has a line of its own."""
    (line,) = write(journal, "a")
    journal.write_bytes(line[:-1])
    reader = JournalReader(journal)
    assert reader.new_events() == []  # The writer may not have finished.
    assert keys_of(reader.new_events(final=True)) == "a"
    assert reader.new_events(final=True) == []
    append_sample(journal, sample("b"))
    assert keys_of(reader.new_events()) == "b"
    assert keys_of(read_events(journal)[0]) == "ab"
    assert reader.torn == 0


def test_a_torn_last_line_is_counted_once(journal: Path) -> None:
    """A torn last line is counted once, also when later lines follow it."""
    first, second = write(journal, "ab")
    journal.write_bytes(first + second[:30])
    reader = JournalReader(journal)
    assert keys_of(reader.new_events(final=True)) == "a"
    append_sample(journal, replace(sample("c"), died=True))
    assert keys_of(reader.new_events()) == "c"
    assert reader.torn == 1


def test_a_block_of_nulls_is_torn(journal: Path) -> None:
    """A block of nulls, as left by a power loss, counts as one torn line."""
    (line,) = write(journal, "a")
    journal.write_bytes(line + b"\0" * 100)
    append_sample(journal, replace(sample("b"), died=True))
    events, torn = read_events(journal)
    assert (keys_of(events), torn) == ("ab", 1)


def test_a_comparison_counts_once_for_each_pass(journal: Path) -> None:
    """The first sample of a comparison in a pass counts; other passes count separately."""
    first, again, later = sample("a"), replace(sample("a"), prepare_s=9.0), sample("a", 1)
    for each in (first, again, later, replace(later, status="crashed"), sample("b")):
        append_sample(journal, each)
    assert read_samples(journal.parent) == [first, later, sample("b")]


def test_other_events_are_not_samples(journal: Path) -> None:
    """Events of other kinds are read but are not returned as samples."""
    append_event(journal, "process", pass_index=0)
    append_event(journal, "start", key="a", pass_index=0)
    append_event(journal, "unheard-of", key="a", pass_index=0)
    assert read_samples(journal.parent) == []
    assert len(read_events(journal)[0]) == 3


SURVEY = make_survey(
    "a",
    graphs=Graphs(breaks=0, recompiles=1),
    limits={
        "fp32": Limit(library="of an earlier version", time_ratio=0.5, gflop_per_s=200.0),
        "bf16": Limit(
            library="oneDNN prepacked, SDPA",
            time_ratio=0.75,
            gflop_per_s=377.0,
            time_ratio_low=0.74,
            time_ratio_high=0.76,
        ),
    },
    notes=(make_note("energy not available: no meter"), "as text in an older journal"),
    seconds=3.5,
)


def test_surveys_round_trip(journal: Path) -> None:
    """A survey reads back unchanged, with its missing values and nested records."""
    failed = make_survey(
        "b", measured=MeasuredMemory(status="oom", error="no room"), predicted=None
    )
    for survey in (SURVEY, failed):
        append_survey(journal, survey)
    events, _ = read_events(journal)
    assert surveys_from(events) == {"a": SURVEY, "b": failed}
    assert samples_from(events) == []


def test_a_case_counts_once(journal: Path) -> None:
    """The first of two surveys of one case counts."""
    append_survey(journal, SURVEY)
    append_survey(journal, make_survey("a", flop=1.0))
    assert surveys_from(read_events(journal)[0]) == {"a": SURVEY}


def test_survey_of_a_dead_process_may_follow_half_a_line(journal: Path) -> None:
    """After half a line, a survey marked as died is accepted; the half line counts as torn."""
    append_survey(journal, SURVEY)
    journal.write_bytes(journal.read_bytes()[:-30])
    lost = make_survey("a", measured=MeasuredMemory(status="crashed", error="SIGKILL"))
    append_survey(journal, lost, died=True)
    events, torn = read_events(journal)
    assert (surveys_from(events), torn) == ({"a": lost}, 1)


def test_survey_of_a_live_process_after_half_a_line_is_refused(journal: Path) -> None:
    """A survey not marked as died after half a line is a change by hand, and an error."""
    append_survey(journal, SURVEY)
    journal.write_bytes(journal.read_bytes()[:-30])
    append_survey(journal, make_survey("b"))
    with pytest.raises(InputError, match="line 1 was changed by hand"):
        read_events(journal)


def test_invalid_survey_is_refused(journal: Path) -> None:
    """A survey event that lacks required fields is an error."""
    append_event(journal, "survey", key="a", measured={"status": "fine"})
    with pytest.raises(InputError, match=r"a line of the journal is not a survey \(.*; restore it"):
        surveys_from(read_events(journal)[0])
