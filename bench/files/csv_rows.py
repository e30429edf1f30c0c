"""Records to CSV text and back; a missing value is an empty cell. No torch."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def csv_text(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool = True
) -> str:
    """Return rows as CSV, in the order of ``columns``."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def parse_row(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return one row of ``csv.DictReader`` as a record, each cell as its field's type.

    Columns without a field are ignored. Raises ValueError for a row with too few or too many cells,
    and for a cell that is not of its field's type.
    """
    if None in row:  # ``DictReader`` keeps surplus cells under this key.
        raise ValueError("the row has too many cells")
    if None in row.values():
        raise ValueError("the row has too few cells")
    cells = {name: cell or None for name, cell in row.items()}
    return msgspec.convert(cells, kind, strict=False)


def missing_column(kind: type[Any], header: Collection[str] | None) -> str | None:
    """Return the first field of a dataclass that a CSV header lacks; None if it has all."""
    given = set(header or ())
    return next((each.name for each in fields(kind) if each.name not in given), None)
