"""bench.report.tables.verdicts: the tables of a run, against golden texts."""

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from bench.records.row import Record
from bench.report.labels import by_factor, verdict, workload
from bench.report.tables.verdicts import (
    SINGLE,
    VERDICT_COLUMNS,
    remarks,
    verdict_tables,
)
from helpers.records import (
    NOT_MEASURED,
    make_analysis,
    make_note,
    make_record,
)
from helpers.reports import (
    ANALYSIS,
    EQUIVALENT,
    NOTE,
    OUT_OF_MEMORY,
    RUN,
    SLOWER,
    WIDE,
    check_golden,
)


def printed(*given: Any, width: int = 130) -> str:
    """Return the printed table without trailing blanks."""
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(*given)
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def cells(record: Record) -> tuple[str, ...]:
    """Return a row's texts in the verdict table."""
    return tuple(column.cell(record) for column in VERDICT_COLUMNS)


def remarks_of(rows: Sequence[Record]) -> list[str]:
    """Return the remarks on the rows of a run."""
    return remarks(rows, make_analysis(rows).notes)


def test_verdict_tables() -> None:
    """The tables at 130 columns, from warnings to remarks, equal the golden text."""
    text = printed(verdict_tables(ANALYSIS, [make_note("3 torch threads share 2 of the cores")]))
    check_golden("verdicts.txt", text)


def test_by_factor() -> None:
    """Rows are grouped by device and factor, in their order."""
    groups = [(group[0].device, group[0].factor, len(group)) for group in by_factor(RUN)]
    assert groups == [("cpu", "attention", 6), ("cuda", "precision", 2)]


def test_cells() -> None:
    """A row's cells carry their units."""
    expected = "B/16 attention b1 forward|manual|12.3 ms|×1.25|1.20 to 1.30|"
    expected += "+1.7 % (+0.9 to +2.5 %)|5.5 %|▲ faster|2.5e-07"
    row = make_record(of_whole=0.017, of_whole_low=0.0091, of_whole_high=0.0249)
    assert "|".join(cells(row)) == expected


def test_cells_of_an_unmeasured_row() -> None:
    """Cells of an unmeasured row are empty, and its status replaces the verdict."""
    row = make_record(**NOT_MEASURED | {"status": "timeout"})
    assert cells(row) == (workload(row), "manual", "", "", "", "", "", "timeout", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "▲ faster"),
        (SLOWER, "▼ slower"),
        (EQUIVALENT, "= equivalent"),
        (WIDE, "? undecided"),
        ({"arm": "mha", **EQUIVALENT}, "= equivalent (control)"),
        ({"status": "wrong", "verdict": None}, "wrong"),
        ({"status": "skipped", "verdict": None, "arm": "mha"}, "skipped"),
    ],
)
def test_verdict(changes: dict[str, Any], said: str) -> None:
    """A verdict has a sign besides its colour; a row without one shows its status."""
    assert verdict(make_record(**changes)) == said


@pytest.mark.parametrize(("passes", "said"), [((1, 1), True), ((1, 2), False), ((), False)])
def test_single_pass_is_noted(passes: tuple[int, ...], *, said: bool) -> None:
    """With a single pass, a note names the assumed difference between processes."""
    records = [make_record(passes=count) for count in passes]
    assert (SINGLE in printed(verdict_tables(make_analysis(records)), width=400)) is said


def test_an_empty_run() -> None:
    """A run without rows or controls prints nothing."""
    text = printed(verdict_tables(make_analysis([], {})))
    assert text.strip() == ""


def test_workload_of_a_users_own_arms() -> None:
    """A user's own arms are named by their inputs, parts of vitcore by their sizes."""
    assert workload(make_record(inputs="1,197,768", variant=None)) == "1,197,768 forward"
    assert workload(make_record(image_size=384)) == "B/16 attention b1 forward 384px"


def test_remarks_are_counted_once() -> None:
    """Equal reasons and notes are listed once with the number of their rows, in row order."""
    rows: list[Record] = [*RUN, make_record(arm="bf16", note=NOTE), make_record(**OUT_OF_MEMORY)]
    assert remarks_of(rows) == [
        "sdpa: unsteady in B/16 attention b1 forward: arm 12 % faster at the end",
        "manual, sdpa: oom: OutOfMemoryError: 3 GiB [3 rows]",
        f"bf16: {NOTE} [2 rows]",
    ]


def test_notes_of_a_row_are_separate() -> None:
    """Each note of a row is listed separately, with all rows that have it."""
    rows = [make_record(), make_record(arm="sdpa")]
    meter = make_note("no meter", remedy="install one")
    notes = {rows[0].key: (meter, make_note("slow; very")), rows[1].key: (meter,)}
    assert remarks(rows, notes) == [
        "manual, sdpa: no meter; install one [2 rows]",
        "manual: slow; very",
    ]


def test_many_arms_are_counted() -> None:
    """A remark on more than three arms has their number instead of their names."""
    rows = [make_record(arm=f"{number}", note="no meter") for number in (1, 2, 3, 3)]
    assert remarks_of(rows) == ["1, 2, 3: no meter [4 rows]"]
    more = [*rows, make_record(arm="4", note="no meter")]
    assert remarks_of(more) == ["4 arms: no meter [5 rows]"]


def test_further_tables_follow_their_factor() -> None:
    """Further tables of a factor follow its table of verdicts."""

    def more(records: Sequence[Record]) -> list[Table]:
        return [Table(f"{len(records)} rows of {records[0].factor}")]

    text = printed(verdict_tables(ANALYSIS, more=more))
    expected = ("attention: against", "6 rows of attention", "precision: ", "2 rows of precision")
    places = [text.index(each) for each in expected]
    assert places == sorted(places)


def test_kernel_changes_are_noted_below() -> None:
    """A note below the tables names arms with other kernels on another workload."""
    rows = [make_record(kernels="flash"), make_record(kernels="math", batch_size=64)]
    text = printed(verdict_tables(make_analysis(rows)), width=400)
    assert "changed its kernels between workloads: flash on B/16 b1 forward; math on" in text


def test_brackets_are_not_markup() -> None:
    """Brackets in an arm's name and in the baseline of a title are printed."""
    row = make_record(arm="[/x]/m.py:new", baseline="[bold]m.py:old", inputs="[/y]/m.py:make")
    text = printed(verdict_tables(make_analysis([row])), width=200)
    for name in (row.arm, row.baseline, row.inputs):
        assert f"{name} " in text or f"{name}," in text


def test_no_remarks() -> None:
    """A run without problems has no remarks."""
    assert remarks_of([make_record()]) == []
