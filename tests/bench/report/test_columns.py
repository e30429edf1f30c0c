"""bench.report.columns: the cell of a row under each heading."""

from dataclasses import replace

import pytest

from bench.records.row import Record
from bench.report.columns import _COLUMNS, ROW_COLUMNS, Column, chosen, used
from bench.report.notebook_result import ComparisonResult
from bench.report.page.table_rows import PAGE_COLUMNS
from bench.report.tables.costs import VIEWS
from bench.report.tables.verdicts import VERDICT_COLUMNS
from helpers.arm_costs import make_costly
from helpers.records import NOT_MEASURED, make_record

FULL = make_costly(
    reserved_bytes=1, gradient_error=0.1, graph_breaks=0, recompiles=0, break_even_images=5.0
)
EMPTY = make_record(**NOT_MEASURED)
NUMBERS = [column for column in _COLUMNS if not column.is_words]


def test_headings_are_unique() -> None:
    """A heading means the same in every table."""
    assert len(ROW_COLUMNS) == len(_COLUMNS)


@pytest.mark.parametrize("record", [FULL, EMPTY], ids=["full", "empty"])
@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.heading)
def test_a_missing_number_is_an_empty_cell(column: Column[Record], record: Record) -> None:
    """A numeric column has a text exactly where it has a number."""
    assert column.number is not None
    assert (column.number(record) is None) == (column.text(record) == "")


def test_words_are_not_sorted_as_numbers() -> None:
    """A column of words has no number to sort by."""
    assert [column.heading for column in _COLUMNS if column.is_words and column.number] == []


def test_every_column_is_shown_somewhere() -> None:
    """Every column is in a table, on the page or in a notebook's facts."""
    record = {name: getattr(FULL, name) for name in Record.__dataclass_fields__}
    shown = {column.heading for view in VIEWS.values() for column in view}
    shown |= {column.heading for column in (*PAGE_COLUMNS, *VERDICT_COLUMNS)}
    assert shown | set(ComparisonResult(**record).facts()) == set(ROW_COLUMNS)


def test_a_detail_is_in_brackets() -> None:
    """An interval follows its number in brackets; two equal texts are shown once."""
    (column,) = chosen("pays off after")
    wide = replace(
        FULL, break_even_images=821, break_even_low_images=411, break_even_high_images=float("inf")
    )
    assert column.cell(wide) == "821 (411 to never)"
    assert column.without_detail().cell(wide) == "821"
    inf = float("inf")
    never = replace(
        FULL, break_even_images=inf, break_even_low_images=inf, break_even_high_images=inf
    )
    assert column.cell(never) == "never"


def test_columns_without_text_are_not_used() -> None:
    """A column is used if at least one item has a text."""
    columns = chosen("arm", "memory", "reserved")
    assert used(columns, [EMPTY]) == [columns[0]]
    assert used(columns, [EMPTY, replace(FULL, reserved_bytes=None)]) == list(columns[:2])
    assert used(columns, []) == []


def test_an_unknown_heading_is_an_error() -> None:
    """A misspelt heading raises KeyError."""
    with pytest.raises(KeyError):
        chosen("memmory")


def test_units_of_numbers_without_one_are_in_the_heading() -> None:
    """Only columns with the quantity in their heading show bare numbers."""
    bare = {c.heading for c in NUMBERS if c.text(FULL).replace(".", "").isdecimal()}
    assert bare <= {
        *("passes", "rounds", "GFLOP", "GFLOP/s", "limit", "copy GB/s", "J/image"),
        *("pays off after", "graph breaks", "recompiles"),
    }
