"""bench.store: everything that is written is read back as it was, and errors name the remedy."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import journal, store
from bench.journal import JournalReader
from bench.record import COLUMNS, SCHEMA, STATUSES, InputError, Record, Sample
from bench.store import PassPlan
from makers import (
    NOT_MEASURED,
    make_comparison,
    make_environment,
    make_plan,
    make_record,
    make_sample,
)

PLAN = make_plan(
    command="vitbench run --variants 'B/16'",
    seed=1,
    budget_s=540.5,
    comparisons=(make_comparison(), make_comparison("bf16", factor="precision", baseline="fp32")),
)
# One line of anything but control characters, which one_line() keeps out of messages.
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: LINES,
    type(None): st.none(),
    tuple[float, ...]: st.lists(st.floats(allow_nan=False), max_size=4).map(tuple),
}


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    return TYPES[kind] if kind in TYPES else st.one_of([TYPES[each] for each in get_args(kind)])


RECORD_FIELDS = {field.name: strategy(field.type) for field in fields(Record)}
RECORDS = st.builds(Record, **RECORD_FIELDS | {"schema": st.just(SCHEMA)})
SAMPLE_FIELDS = {field.name: strategy(field.type) for field in fields(Sample)}
PAIRS = st.lists(st.tuples(TYPES[float], TYPES[float]), max_size=4)


def sample(pairs: list[tuple[float, float]], **parts: Any) -> Sample:
    """Build a sample, both of whose arms have a time in every pair."""
    times_s = {"baseline_s": tuple(b for b, _ in pairs), "arm_s": tuple(a for _, a in pairs)}
    return Sample(**parts | times_s)


SAMPLES = st.builds(sample, PAIRS, **SAMPLE_FIELDS | {"status": st.sampled_from(STATUSES)})


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a plan and an environment."""
    run = tmp_path_factory.mktemp("results") / "run"
    store.create_run_folder(run)
    store.write_json(run / "plan.json", PLAN)
    store.write_json(run / "environment.json", make_environment(gpus=("H200",), dirty=None))
    return run


def test_plan_and_environment_round_trip(run: Path) -> None:
    """A plan and an environment are read as they were written."""
    assert store.read_plan(run) == PLAN
    assert store.read_environment(run) == make_environment(gpus=("H200",), dirty=None)


def test_pass_plan_round_trip(tmp_path: Path) -> None:
    """A pass reads the plan that it was given, the journal's path included."""
    plan = PassPlan(
        pass_index=1,
        deadline_s=1.7e9,
        end_s=2e9,
        check=False,
        journal=tmp_path / "journal.jsonl",
        comparisons=PLAN.comparisons,
    )
    store.write_json(tmp_path / "pass.json", plan)
    assert store.read_pass_plan(tmp_path / "pass.json") == plan


@settings(max_examples=25, deadline=None)
@given(samples=st.lists(SAMPLES, max_size=5))
def test_samples_round_trip(run: Path, samples: list[Sample]) -> None:
    """Any sample comes back from the journal exactly, in order, without the other events."""
    (run / "journal.jsonl").unlink(missing_ok=True)
    for sample in samples:
        journal.append_event(run / "journal.jsonl", "start", key=sample.key)
        journal.append_sample(run / "journal.jsonl", sample)
    assert journal.read_samples(run) == samples


@settings(max_examples=25, deadline=None)
@given(records=st.lists(RECORDS, max_size=5))
def test_records_round_trip(run: Path, records: list[Record]) -> None:
    """Any row comes back from results.csv exactly, and nothing else is left in the folder."""
    store.write_csv(run / "results.csv", records)
    assert store.read_csv(run / "results.csv") == records
    assert not list(run.glob("*.part"))


def test_missing_values_are_empty_cells(tmp_path: Path) -> None:
    """A value that is missing is an empty cell; one that is zero is a zero."""
    row = make_record(**NOT_MEASURED | {"output_error": 0.0, "status": "oom"})
    store.write_csv(tmp_path / "results.csv", [row])
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        header, cells = csv.reader(file)
    assert tuple(header) == COLUMNS
    written = dict(zip(header, cells, strict=True))
    missing = [name for name, value in asdict(row).items() if value is None]
    assert len(missing) == 12
    assert {written[name] for name in missing} == {""}
    assert written["output_error"] == "0.0"


def test_csv_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """A failure while writing leaves the file of before untouched."""

    def failing() -> Iterator[Record]:
        yield make_record(run_id="second")
        raise KeyError("row")

    store.write_csv(tmp_path / "results.csv", [make_record(run_id="first")])
    with pytest.raises(KeyError):
        store.write_csv(tmp_path / "results.csv", failing())
    assert [row.run_id for row in store.read_csv(tmp_path / "results.csv")] == ["first"]


def test_csv_lacking_a_column(tmp_path: Path) -> None:
    """A results.csv without a column is refused by the column's name."""
    path = tmp_path / "results.csv"
    store.write_csv(path, [make_record()])
    path.write_text(path.read_text(encoding="utf-8").replace("verdict", "opinion"), "utf-8")
    with pytest.raises(InputError, match=rf"{path} lacks the column 'verdict'; "):
        store.read_csv(path)


@pytest.mark.parametrize("read", [store.read_plan, store.read_environment])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); expected the folder of a run"),
        ("[]", "is no JSON object; restore it or run again"),
        ('{"schema": 1, "run_id"', "is no JSON .*; restore it or run again"),
        ('{"schema": 999}', "has schema 999; this vitbench reads schema 1: use the version"),
        ("{}", "has schema None; this vitbench reads schema 1"),
    ],
)
def test_unreadable_json(
    tmp_path: Path, read: Callable[[Path], object], text: str | None, message: str
) -> None:
    """A file that cannot be used is refused by its path, with what to do."""
    name = "plan.json" if read is store.read_plan else "environment.json"
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=f"{name} {message}"):
        read(tmp_path)


def test_new_run_folder(tmp_path: Path) -> None:
    """A run's folder is made with its parents and a place for the passes."""
    store.create_run_folder(tmp_path / "results" / "run")
    assert (tmp_path / "results" / "run" / "passes").is_dir()


MakesFolder = Callable[[Path], None]
both_ways = pytest.mark.parametrize("make", [store.check_run_folder, store.create_run_folder])


@both_ways
def test_existing_run_folder(tmp_path: Path, make: MakesFolder) -> None:
    """A folder that exists is refused and left as it was."""
    (tmp_path / "results.csv").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"exists; give --out a new name \(nothing was over"):
        make(tmp_path)
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["mine"]


@both_ways
@pytest.mark.parametrize("below", ["run", "results/run"])
def test_run_folder_below_a_file(tmp_path: Path, make: MakesFolder, below: str) -> None:
    """A folder that cannot be made is refused before anything is."""
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"file/.*run cannot be made .*give --out"):
        make(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_checking_a_run_folder_makes_nothing(tmp_path: Path) -> None:
    """A good name passes the check without a trace."""
    store.check_run_folder(tmp_path / "results" / "run")
    assert not list(tmp_path.iterdir())


def test_run_id_is_the_time() -> None:
    """A run is called by the time it began, so that names sort by time."""
    assert store.new_run_id(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "20260102-030405"


def test_journal_gives_each_event_once(tmp_path: Path) -> None:
    """A reader gives what is new since it was last asked; before there is a file, nothing."""
    reader = JournalReader(tmp_path / "journal.jsonl")
    assert reader.new_events() == []
    journal.append_event(reader.journal, "start", key="a")
    journal.append_sample(reader.journal, make_sample(make_comparison()))
    assert [event["kind"] for event in reader.new_events()] == ["start", "sample"]
    assert reader.new_events() == []
    journal.append_event(reader.journal, "start", key="b")
    assert reader.new_events() == [{"schema": 1, "kind": "start", "key": "b"}]


@settings(deadline=None)
@given(cut=st.integers(0, 41))
def test_journal_leaves_a_half_line_for_later(run: Path, cut: int) -> None:
    """Wherever the writer was interrupted, whole lines are given and the rest follows."""
    lines = [json.dumps({"kind": "start", "key": key}) for key in "ab"]
    text = "".join(f"{line}\n" for line in lines)
    reader = JournalReader(run / "half.jsonl")
    reader.journal.write_text(text[:cut], "utf-8")
    before = reader.new_events()
    with reader.journal.open("a", encoding="utf-8") as file:
        file.write(text[cut:])
    assert len(before) == text[:cut].count("\n")
    assert [event["key"] for event in before + reader.new_events()] == ["a", "b"]
