"""journal: every event once, on disk, and whatever happens to the file is told apart."""

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
from bench.records.comparison import SCHEMA, Sample
from bench.records.errors import InputError
from helpers.journals import append_sample, append_survey, read_samples, samples_from, surveys_from
from helpers.records import make_comparison, make_note, make_sample, make_survey

SAMPLE = make_sample(make_comparison(), causes={"steal": 1}, disturbed=(3,), unsettled=("arm",))


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Path:
    """Where a journal is to be."""
    return tmp_path / "journal.jsonl"


def sample(key: str, pass_index: int = 0) -> Sample:
    """A sample of a comparison called ``key``."""
    return replace(SAMPLE, key=key, pass_index=pass_index)


def write(journal: Path, keys: str) -> list[bytes]:
    """Append a sample for each letter; all lines of the journal then."""
    for key in keys:
        append_sample(journal, sample(key))
    return journal.read_bytes().splitlines(keepends=True)


def keys_of(events: list[dict[str, Any]]) -> str:
    """The keys of events, in their order."""
    return "".join(event["key"] for event in events)


def test_each_event_is_given_once(journal: Path) -> None:
    """A reader gives what is new since it was last asked; before there is a file, nothing."""
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


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 10**6))
def test_a_line_being_written_is_left_for_later(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """Wherever the writer is while somebody reads, whole lines are given and the rest follows."""
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


def test_a_half_written_line_costs_one_event_wherever_it_was_cut(journal: Path) -> None:
    """At every position a cut is counted, never an error, and the next event has its own line."""
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


def test_nothing_written_is_nothing_torn(journal: Path) -> None:
    """Cut between lines, or without a file, nothing was half-written."""
    assert read_events(journal) == ([], 0)
    first, _ = write(journal, "ab")
    journal.write_bytes(first)
    assert read_events(journal)[1] == 0
    journal.write_bytes(b"")
    assert read_events(journal) == ([], 0)


def test_a_whole_line_without_its_end_counts_once(journal: Path) -> None:
    """Only the line break was lost: the event counts, once, and the next has its own line."""
    (line,) = write(journal, "a")
    journal.write_bytes(line[:-1])
    reader = JournalReader(journal)
    assert reader.new_events() == []  # Somebody may still be writing.
    assert keys_of(reader.new_events(final=True)) == "a"
    assert reader.new_events(final=True) == []
    append_sample(journal, sample("b"))
    assert keys_of(reader.new_events()) == "b"
    assert keys_of(read_events(journal)[0]) == "ab"
    assert reader.torn == 0


def test_a_torn_last_line_is_counted_once(journal: Path) -> None:
    """Who reads a torn line as the last, and what follows it later, counts it once."""
    first, second = write(journal, "ab")
    journal.write_bytes(first + second[:30])
    reader = JournalReader(journal)
    assert keys_of(reader.new_events(final=True)) == "a"
    append_sample(journal, replace(sample("c"), died=True))
    assert keys_of(reader.new_events()) == "c"
    assert reader.torn == 1


def test_a_block_of_nulls_is_torn(journal: Path) -> None:
    """After a power loss a file may end in nulls: what was to stand there is measured again."""
    (line,) = write(journal, "a")
    journal.write_bytes(line + b"\0" * 100)
    append_sample(journal, replace(sample("b"), died=True))
    events, torn = read_events(journal)
    assert (keys_of(events), torn) == ("ab", 1)


def test_a_comparison_counts_once_for_each_pass(journal: Path) -> None:
    """Of two samples of one comparison in one pass the first counts; other passes are others."""
    first, again, later = sample("a"), replace(sample("a"), prepare_s=9.0), sample("a", 1)
    for each in (first, again, later, replace(later, status="crashed"), sample("b")):
        append_sample(journal, each)
    assert read_samples(journal.parent) == [first, later, sample("b")]


def test_other_events_are_no_samples(journal: Path) -> None:
    """Whatever else a journal tells does not count as measured."""
    append_event(journal, "process", pass_index=0)
    append_event(journal, "start", key="a", pass_index=0)
    append_event(journal, "unheard-of", key="a", pass_index=0)
    assert read_samples(journal.parent) == []
    assert len(read_events(journal)[0]) == 3


SURVEY = make_survey(
    "a",
    graphs=Graphs(breaks=0, recompiles=1),
    limits={"bf16": Limit(library="oneDNN", time_ratio=0.75, gflop_per_s=377.0)},
    notes=(make_note("energy not available: no meter"), "as text in an older journal"),
    seconds=3.5,
)


def test_a_survey_comes_back_as_it_was(journal: Path) -> None:
    """Everything that a look told, what it did not tell, and what stands inside of it."""
    failed = make_survey(
        "b", measured=MeasuredMemory(status="oom", error="no room"), predicted=None
    )
    for survey in (SURVEY, failed):
        append_survey(journal, survey)
    events, _ = read_events(journal)
    assert surveys_from(events) == {"a": SURVEY, "b": failed}
    assert samples_from(events) == []


def test_a_case_counts_once(journal: Path) -> None:
    """Of two looks at one case the first counts."""
    append_survey(journal, SURVEY)
    append_survey(journal, make_survey("a", flop=1.0))
    assert surveys_from(read_events(journal)[0]) == {"a": SURVEY}


def test_a_survey_that_was_lost_may_follow_half_a_line(journal: Path) -> None:
    """Its process was killed while it wrote; whoever started it says so, and goes on."""
    append_survey(journal, SURVEY)
    journal.write_bytes(journal.read_bytes()[:-30])
    lost = make_survey("a", measured=MeasuredMemory(status="crashed", error="SIGKILL"))
    append_survey(journal, lost, died=True)
    events, torn = read_events(journal)
    assert (surveys_from(events), torn) == ({"a": lost}, 1)


def test_nobody_else_goes_on_after_half_a_line(journal: Path) -> None:
    """A look that nobody lost, after a line that its own process cut off, was put there by hand."""
    append_survey(journal, SURVEY)
    journal.write_bytes(journal.read_bytes()[:-30])
    append_survey(journal, make_survey("b"))
    with pytest.raises(InputError, match="line 1 was changed by hand"):
        read_events(journal)


def test_what_is_no_survey_is_refused(journal: Path) -> None:
    """A line that lacks what a survey has is told by its kind."""
    append_event(journal, "survey", key="a", measured={"status": "fine"})
    with pytest.raises(InputError, match=r"a line of the journal is not a survey \(.*; restore it"):
        surveys_from(read_events(journal)[0])
