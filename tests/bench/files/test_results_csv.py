"""results_csv: results.csv both ways, whole or not at all, and never over somebody's work."""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.files.results_csv import read_csv, write_csv, write_rates
from bench.records.calibration import Method, Rate
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from bench.records.row import COLUMNS, Record
from helpers.disks import files_of_at_most
from helpers.records import NOT_MEASURED, make_rate, make_record

# One line of anything but control characters, which one_line() keeps out of messages.
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: LINES,
    type(None): st.none(),
}


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a column's type."""
    return st.one_of([TYPES[each] for each in get_args(kind) or (kind,)])


RECORDS = st.builds(
    Record,
    **{field.name: strategy(field.type) for field in fields(Record)} | {"schema": st.just(SCHEMA)},
)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Where results.csv is to be."""
    return tmp_path / "results.csv"


def run_ids(path: Path) -> list[str]:
    """Which rows stand in a file, by their run."""
    return [row.run_id for row in read_csv(path)]


@settings(max_examples=25, deadline=None)
@given(records=st.lists(RECORDS, max_size=5))
def test_records_round_trip(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    """Any row comes back from results.csv exactly, and nothing half-written is left."""
    path = tmp_path_factory.mktemp("run") / "results.csv"
    assert write_csv(path, records) is None
    assert read_csv(path) == records
    assert not list(path.parent.glob("*.part"))


def test_missing_values_are_empty_cells(path: Path) -> None:
    """A value that is missing is an empty cell; one that is zero is a zero."""
    row = make_record(**NOT_MEASURED | {"output_error": 0.0, "status": "oom"})
    write_csv(path, [row])
    with path.open(encoding="utf-8", newline="") as file:
        header, cells = csv.reader(file)
    assert tuple(header) == COLUMNS
    written = dict(zip(header, cells, strict=True))
    missing = [name for name, value in asdict(row).items() if value is None]
    assert set(NOT_MEASURED) - {"output_error"} <= set(missing)
    assert {written[name] for name in missing} == {""}
    assert written["output_error"] == "0.0"


def test_own_earlier_version_is_overwritten(path: Path) -> None:
    """What this program wrote and nobody changed is replaced without a trace, however often."""
    for run_id in ("first", "second", "second", "third"):
        assert write_csv(path, [make_record(run_id=run_id)]) is None
    assert run_ids(path) == ["third"]
    assert [each.name for each in path.parent.glob("*.csv")] == ["results.csv"]


def test_a_file_changed_by_hand_is_kept(path: Path) -> None:
    """Whatever somebody wrote into the file is set aside, each time, and named."""
    kept = []
    for note in ("mine", "mine again"):
        write_csv(path, [make_record(run_id="measured")])
        path.write_text(path.read_text("utf-8") + f"{note}\n", "utf-8")
        kept.append(write_csv(path, [make_record(run_id="later")]))
        assert run_ids(path) == ["later"]
    names = [each.name for each in kept if each is not None]
    assert names == ["results.old-1.csv", "results.old-2.csv"]
    texts = [each.read_text("utf-8") for each in kept if each is not None]
    assert [text.splitlines()[-1] for text in texts] == ["mine", "mine again"]


def test_a_file_of_somebody_else_is_kept(path: Path) -> None:
    """A file that was there before, of whatever kind, is set aside byte for byte."""
    path.write_bytes(b"\xff\x00 no text")
    kept = write_csv(path, [make_record()])
    assert kept is not None
    assert kept.read_bytes() == b"\xff\x00 no text"
    assert len(read_csv(path)) == 1


def test_the_same_rows_again_are_nobodys_work(path: Path) -> None:
    """A file that says what is to be written is not set aside, whoever wrote it."""
    write_csv(path, [make_record()])
    path.with_name(".results.csv.sha256").unlink()
    assert write_csv(path, [make_record()]) is None


def test_a_full_disk_leaves_the_file_of_before(path: Path) -> None:
    """Where there is no room the old rows stay, whole, and nothing half-written beside them."""
    write_csv(path, [make_record(run_id="first")])
    before = sorted(each.name for each in path.parent.iterdir())
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        write_csv(path, [make_record(run_id="second")] * 9)
    assert run_ids(path) == ["first"]
    assert sorted(each.name for each in path.parent.iterdir()) == before
    assert write_csv(path, [make_record(run_id="third")]) is None


def test_a_failing_row_leaves_the_file_of_before(path: Path) -> None:
    """An error while the rows are made leaves the file untouched."""

    def failing() -> Iterator[Record]:
        yield make_record(run_id="second")
        raise KeyError("row")

    write_csv(path, [make_record(run_id="first")])
    with pytest.raises(KeyError):
        write_csv(path, failing())
    assert run_ids(path) == ["first"]


@pytest.mark.parametrize("ends", [(120.5, math.inf), (math.inf, math.inf), (0.0, 12.0)])
def test_never_is_kept(path: Path, ends: tuple[float, float]) -> None:
    """Compiling that never pays off is ``inf`` in the file, and comes back as that."""
    low, high = ends
    row = make_record(break_even_images=low, break_even_low_images=low, break_even_high_images=high)
    write_csv(path, [row])
    assert f",{low},{low},{high}," in path.read_text("utf-8")
    assert read_csv(path) == [row]


def test_a_missing_csv_names_the_command_that_makes_it(path: Path) -> None:
    """The journal is the source; the CSV can always be made again."""
    with pytest.raises(InputError, match="does not exist; make it with: vitbench report"):
        read_csv(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\n4,", "\n99,", "has schema 99; this vitbench reads schema 4: use the version"),
        ("\n4,", "\ntwo,", "has schema two; this vitbench reads"),
        (",3,", ",three,", "was changed by hand .*; make it again with: vitbench report"),
        ("speedup_low", "speedup_lo", "lacks the column 'speedup_low'; make it again with"),
        ("verdict", "opinion", "lacks the column 'verdict'; make it again with"),
        (",120,", ",,", "was changed by hand"),
        ("schema,", "", "lacks the column 'schema'"),
    ],
)
def test_a_changed_csv_is_refused(path: Path, old: str, new: str, says: str) -> None:
    """Another schema, a word for a number, or a lost column is an error, never a wrong number."""
    write_csv(path, [make_record()])
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=says):
        read_csv(path)


@pytest.mark.parametrize("kept", [1, 5, 12, 30])
def test_a_row_cut_short_is_refused(path: Path, kept: int) -> None:
    """A row that lost its last cells is an error, wherever it was cut."""
    write_csv(path, [make_record(), make_record()])
    lines = path.read_text("utf-8").splitlines()
    lines[-1] = ",".join(lines[-1].split(",")[:kept])
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(InputError, match="was changed by hand"):
        read_csv(path)


@pytest.mark.parametrize(("old", "new"), [(",faster,", ",faster,,"), (",ok,", ",o,k,")])
def test_a_row_with_a_cell_too_many_is_refused(path: Path, old: str, new: str) -> None:
    """A comma that somebody wrote shifts the cells behind it: an error, and no other number."""
    write_csv(path, [make_record()])
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(InputError, match="too many cells"):
        read_csv(path)


def test_rates_have_a_row_each(tmp_path: Path) -> None:
    """calibration.csv has a row for each method and kind of trial, under its fields' names."""
    rates = [make_rate(), make_rate(Method.PYTEST_BENCHMARK, 20 / 21)]
    write_rates(tmp_path / "calibration.csv", rates)
    with (tmp_path / "calibration.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [field.name for field in fields(Rate)]
    assert [(row["method"], float(row["truth"]), int(row["slower"])) for row in rows] == [
        ("vitbench run", 1.0, 0),
        ("pytest-benchmark compare", 20 / 21, 20),
    ]
