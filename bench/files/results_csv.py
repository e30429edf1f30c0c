"""``results.csv``: write and read the rows of a run; ``calibration.csv``: write rates. No torch."""

import csv
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path

from bench.files.atomic import replacing, write_atomically
from bench.files.csv_rows import csv_text, missing_column, parse_row
from bench.files.run_folder import check_schema, digest
from bench.records.calibration import Rate
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from bench.records.row import COLUMNS, Record

# Columns that files of earlier schemas may lack.
_OPTIONAL = frozenset(each.name for each in fields(Record) if each.default is not MISSING)


def write_csv(path: Path, records: Iterable[Record]) -> Path | None:
    """Write ``results.csv`` whole or not at all; a missing value is an empty cell.

    A file that was changed by hand is renamed before. Returns its new path, or None.
    """
    text = csv_text(COLUMNS, (asdict(record) for record in records))
    seal = path.with_name(f".{path.name}.sha256")
    with replacing(path, text):
        kept = _set_aside(path) if _was_changed(path, seal, text) else None
        write_atomically(seal, digest(text.encode()))
    return kept


def write_rates(path: Path, rates: Sequence[Rate]) -> None:
    """Write ``calibration.csv``: one row per method and kind of trial."""
    columns = [each.name for each in fields(Rate)]
    write_atomically(path, csv_text(columns, (asdict(rate) for rate in rates)))


def _was_changed(path: Path, seal: Path, text: str) -> bool:
    """Return whether a file is neither the new text nor the one that was written last."""
    if not path.exists():
        return False
    found = path.read_bytes()
    written = seal.read_text(encoding="utf-8") if seal.exists() else ""
    return found != text.encode() and digest(found) != written


def _set_aside(path: Path) -> Path:
    numbers = itertools.count(1)
    copy = next(c for n in numbers if not (c := path.with_suffix(f".old-{n}.csv")).exists())
    path.rename(copy)
    return copy


def read_csv(path: Path) -> list[Record]:
    """Read ``results.csv``; cells of columns that its schema did not have are missing values.

    Raises InputError for a missing file or column, or a changed cell.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; make it with: vitbench report {path.parent}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    header = {*(reader.fieldnames or ()), *(_OPTIONAL if _is_earlier(rows) else ())}
    if missing := missing_column(Record, header):
        raise InputError(
            f"{path} lacks the column {missing!r}; make it again with: "
            f"vitbench report {path.parent}"
        )
    for row in rows:
        check_schema(path, int(row["schema"]) if row["schema"].isdecimal() else row["schema"])
    try:
        return [parse_row(row, Record) for row in rows]
    except ValueError as error:
        raise InputError(
            f"{path} was changed by hand ({error}); make it again with: "
            f"vitbench report {path.parent}"
        ) from error


def _is_earlier(rows: Sequence[dict[str, str]]) -> bool:
    return all(row.get("schema") != str(SCHEMA) for row in rows)
