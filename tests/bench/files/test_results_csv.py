"""bench.files.results_csv: rows round-trip, files are replaced whole, other files are kept."""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.files.results_csv import read_csv, write_csv, write_rates
from bench.records.calibration import Kind, Method, Rate
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from bench.records.row import COLUMNS, Record
from helpers.disks import files_of_at_most
from helpers.records import NOT_MEASURED, make_rate, make_record

LATER = ("limit_share_low", "limit_share_high")
# One line of anything but control characters, which one_line() keeps out of messages.
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: LINES,
    type(None): st.none(),
}


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a column's type."""
    return st.one_of([TYPES[each] for each in get_args(kind) or (kind,)])


RECORDS = st.builds(
    Record,
    **{field.name: strategy(field.type) for field in fields(Record)} | {"schema": st.just(SCHEMA)},
)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """The path of results.csv."""
    return tmp_path / "results.csv"


def run_ids(path: Path) -> list[str]:
    """Return the run IDs of a file's rows."""
    return [row.run_id for row in read_csv(path)]


@settings(deadline=None)
@given(records=st.lists(RECORDS, max_size=5))
def test_records_round_trip(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    """Any row reads back from results.csv exactly; no temporary file is left."""
    path = tmp_path_factory.mktemp("run") / "results.csv"
    assert write_csv(path, records) is None
    assert read_csv(path) == records
    assert not list(path.parent.glob("*.part"))


def test_missing_values_are_empty_cells(path: Path) -> None:
    """A missing value is an empty cell; a zero is a zero."""
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
    """An unchanged file of this program is replaced without a backup, any number of times."""
    for run_id in ("first", "second", "second", "third"):
        assert write_csv(path, [make_record(run_id=run_id)]) is None
    assert run_ids(path) == ["third"]
    assert [each.name for each in path.parent.glob("*.csv")] == ["results.csv"]


def test_a_file_changed_by_hand_is_kept(path: Path) -> None:
    """A file changed by hand is set aside each time, and its new name is returned."""
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


def test_foreign_file_is_kept(path: Path) -> None:
    """A file of another origin is set aside byte for byte."""
    path.write_bytes(b"\xff\x00 no text")
    kept = write_csv(path, [make_record()])
    assert kept is not None
    assert kept.read_bytes() == b"\xff\x00 no text"
    assert len(read_csv(path)) == 1


def test_identical_file_is_not_set_aside(path: Path) -> None:
    """A file with the same rows is not set aside, whatever its origin."""
    write_csv(path, [make_record()])
    path.with_name(".results.csv.sha256").unlink()
    assert write_csv(path, [make_record()]) is None


def test_full_disk_keeps_the_earlier_file(path: Path) -> None:
    """On a full disk the earlier rows stay whole, and no temporary file is left."""
    write_csv(path, [make_record(run_id="first")])
    before = sorted(each.name for each in path.parent.iterdir())
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        write_csv(path, [make_record(run_id="second")] * 9)
    assert run_ids(path) == ["first"]
    assert sorted(each.name for each in path.parent.iterdir()) == before
    assert write_csv(path, [make_record(run_id="third")]) is None


def test_failing_row_keeps_the_earlier_file(path: Path) -> None:
    """An error while rows are produced leaves the file unchanged."""

    def failing() -> Iterator[Record]:
        yield make_record(run_id="second")
        raise KeyError("row")

    write_csv(path, [make_record(run_id="first")])
    with pytest.raises(KeyError):
        write_csv(path, failing())
    assert run_ids(path) == ["first"]


@pytest.mark.parametrize("ends", [(120.5, math.inf), (math.inf, math.inf), (0.0, 12.0)])
def test_infinity_round_trips(path: Path, ends: tuple[float, float]) -> None:
    """A break-even of infinity is ``inf`` in the file and reads back as infinity."""
    low, high = ends
    row = make_record(break_even_images=low, break_even_low_images=low, break_even_high_images=high)
    write_csv(path, [row])
    assert f",{low},{low},{high}," in path.read_text("utf-8")
    assert read_csv(path) == [row]


def test_a_missing_csv_names_the_command_that_makes_it(path: Path) -> None:
    """The error for a missing file names the command that writes it from the journal."""
    with pytest.raises(InputError, match="does not exist; make it with: vitbench report"):
        read_csv(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\n5,", "\n99,", "has schema 99; this vitbench reads schema 5: use the version"),
        ("\n5,", "\ntwo,", "has schema two; this vitbench reads"),
        (",3,", ",three,", "was changed by hand .*; make it again with: vitbench report"),
        ("speedup_low", "speedup_lo", "lacks the column 'speedup_low'; make it again with"),
        ("verdict", "opinion", "lacks the column 'verdict'; make it again with"),
        (",120,", ",,", "was changed by hand"),
        ("schema,", "", "lacks the column 'schema'"),
    ],
)
def test_a_changed_csv_is_refused(path: Path, old: str, new: str, says: str) -> None:
    """Another schema, a word in place of a number or a missing column is an error."""
    write_csv(path, [make_record()])
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=says):
        read_csv(path)


def test_a_file_of_an_earlier_schema_may_lack_later_columns(path: Path) -> None:
    """Columns that schema 4 did not have are missing values; one of schema 5 must have them."""
    row = make_record(limit_share=0.5, limit_share_low=0.4, limit_share_high=0.6)
    write_csv(path, [row, row])
    header, *lines = list(csv.reader(path.read_text("utf-8").splitlines()))
    kept = [place for place, name in enumerate(header) if name not in LATER]
    for schema in (4, 5):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([header[place] for place in kept])
            writer.writerows(
                [str(schema), *(cells[place] for place in kept[1:])] for cells in lines
            )
        if schema == 4:
            expected = replace(row, schema=4, limit_share_low=None, limit_share_high=None)
            assert read_csv(path) == [expected] * 2
        else:
            with pytest.raises(InputError, match="lacks the column 'limit_share_low'"):
                read_csv(path)


@pytest.mark.parametrize("kept", [1, 5, 12, 30])
def test_a_row_cut_short_is_refused(path: Path, kept: int) -> None:
    """A row without its last cells is an error, wherever it was cut."""
    write_csv(path, [make_record(), make_record()])
    lines = path.read_text("utf-8").splitlines()
    lines[-1] = ",".join(lines[-1].split(",")[:kept])
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(InputError, match="was changed by hand"):
        read_csv(path)


@pytest.mark.parametrize(("old", "new"), [(",faster,", ",faster,,"), (",ok,", ",o,k,")])
def test_a_row_with_a_cell_too_many_is_refused(path: Path, old: str, new: str) -> None:
    """A row with a surplus comma is an error, since its later cells are shifted."""
    write_csv(path, [make_record()])
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(InputError, match="too many cells"):
        read_csv(path)


def test_rates_have_a_row_each(tmp_path: Path) -> None:
    """calibration.csv has a row for each method and kind of trial, with one column per field."""
    rates = [make_rate(), make_rate(Method.PYTEST_BENCHMARK, Kind.SLOWER)]
    write_rates(tmp_path / "calibration.csv", rates)
    with (tmp_path / "calibration.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [field.name for field in fields(Rate)]
    columns = ("method", "kind", "truth", "slower", "of_whole")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("vitbench run", "placebos", "1.0", "0", ""),
        ("pytest-benchmark compare", "part 5 % slower", str(20 / 21), "20", ""),
    ]
