"""bench.store under faults: torn lines, files changed by hand, other schemas."""

import json
from pathlib import Path

import pytest

from bench import store
from bench.journal import JournalReader, append_sample, read_samples
from bench.record import InputError, Sample
from bench.store import read_csv
from makers import make_comparison, make_plan, make_record, make_sample

PLAN = make_plan()


def samples_of(keys: str) -> list[Sample]:
    """One sample for each letter."""
    return [make_sample(make_comparison(), key=key) for key in keys]


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_a_torn_line_costs_one_event(tmp_path: Path, kept: int) -> None:
    """What was half written when its writer died is counted; what comes after it is read."""
    journal, samples = (
        tmp_path / "journal.jsonl",
        [make_sample(make_comparison(), key=key) for key in "abc"],
    )
    append_sample(journal, samples[0])
    before = len(journal.read_bytes())
    append_sample(journal, samples[1])
    line = journal.read_bytes()[before:]
    journal.write_bytes(journal.read_bytes()[:before] + line[:-1][:kept])
    append_sample(journal, samples[2])
    reader = JournalReader(journal)
    assert [event["key"] for event in reader.new_events()] == ["a", "c"]
    assert reader.torn == 1
    assert read_samples(tmp_path) == [samples[0], samples[2]]


def test_a_line_without_its_end_is_whole_once_ended(tmp_path: Path) -> None:
    """Only the line break was lost: the event counts."""
    journal, samples = (
        tmp_path / "journal.jsonl",
        [make_sample(make_comparison(), key=key) for key in "ab"],
    )
    append_sample(journal, samples[0])
    journal.write_bytes(journal.read_bytes()[:-1])
    append_sample(journal, samples[1])
    assert read_samples(tmp_path) == samples


def test_a_missing_csv_names_the_command_that_makes_it(tmp_path: Path) -> None:
    """The journal is the source; the CSV can always be made again."""
    with pytest.raises(InputError, match=r"does not exist; make it with: vitbench report"):
        read_csv(tmp_path / "results.csv")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\n1,", "\n99,", "has schema 99; this vitbench reads schema 1: use the version"),
        (",3,", ",three,", "was changed by hand .*; make it again with: vitbench report"),
        ("speedup_low", "speedup_lo", "lacks the column 'speedup_low'; make it again with"),
    ],
)
def test_a_changed_csv_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Another schema, a word for a number, or a lost column is an error, never a wrong number."""
    path = tmp_path / "results.csv"
    store.write_csv(path, [make_record(passes=3)])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=says):
        read_csv(path)


@pytest.mark.parametrize("change", [{"seed": None}, {"more": 1}])
def test_a_changed_plan_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """A plan that lacks a field, or has one too many, was changed by hand."""
    store.write_json(tmp_path / "plan.json", PLAN)
    plain = {**json.loads((tmp_path / "plan.json").read_text()), **change}
    kept = {name: value for name, value in plain.items() if value is not None}
    (tmp_path / "plan.json").write_text(json.dumps(kept))
    with pytest.raises(InputError, match=r"plan\.json was changed by hand .*; restore it"):
        store.read_plan(tmp_path)


def test_a_file_is_no_run(tmp_path: Path) -> None:
    """Whoever names results.csv instead of its folder is told what was expected."""
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(InputError, match="expected the folder of a run"):
        store.read_plan(tmp_path / "results.csv")
