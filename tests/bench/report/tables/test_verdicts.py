"""bench.report.tables.verdicts: what a reader of a run sees, kept as golden texts."""

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
    share_line,
    summary,
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
    """What is printed in a terminal, without the blanks at the ends of lines."""
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(*given)
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def cells(record: Record) -> tuple[str, ...]:
    """A row's texts in the verdict table."""
    return tuple(column.cell(record) for column in VERDICT_COLUMNS)


def remarks_of(rows: Sequence[Record]) -> list[str]:
    """Return the remarks on the rows of a run."""
    return remarks(rows, make_analysis(rows).notes)


def test_summary() -> None:
    """The tables in a terminal of 130 columns: warnings, controls, rows, verdicts, remarks."""
    text = printed(summary(ANALYSIS, [make_note("3 torch threads share 2 of the cores")]))
    check_golden("summary.txt", text)


def test_by_factor() -> None:
    """Rows stand together by device and factor, in their order."""
    groups = [(group[0].device, group[0].factor, len(group)) for group in by_factor(RUN)]
    assert groups == [("cpu", "attention", 6), ("cuda", "precision", 2)]


def test_cells() -> None:
    """A row's cells carry their units."""
    expected = "B/16 attention b1 forward|manual|12.3 ms|×1.25|1.20 to 1.30|5.5 %|▲ faster|2.5e-07"
    assert "|".join(cells(make_record())) == expected


def test_cells_of_what_is_missing() -> None:
    """Where nothing was measured the cells are empty and the status stands for the verdict."""
    row = make_record(**NOT_MEASURED | {"status": "timeout"})
    assert cells(row) == (workload(row), "manual", "", "", "", "", "timeout", "")


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
    """A verdict has a sign that does without colour; a row without one says its status."""
    assert verdict(make_record(**changes)) == said


@pytest.mark.parametrize(("passes", "said"), [((1, 1), True), ((1, 2), False), ((), False)])
def test_a_single_pass_is_said(passes: tuple[int, ...], *, said: bool) -> None:
    """Where no process was repeated the tables say what was taken for its difference."""
    records = [make_record(passes=count) for count in passes]
    assert (SINGLE in printed(summary(make_analysis(records)), width=400)) is said


def test_an_empty_run() -> None:
    """A run without rows has a summary: what its controls say."""
    text = printed(summary(make_analysis([], {})))
    assert text.strip() == ""


def test_workload_of_a_users_own_arms() -> None:
    """A user's own arms are named by their inputs, parts of vitcore by their sizes."""
    assert workload(make_record(inputs="1,197,768", variant=None)) == "1,197,768 forward"
    assert workload(make_record(image_size=384)) == "B/16 attention b1 forward 384px"


def test_remarks_are_counted_once() -> None:
    """Equal reasons and notes stand once, with the number of their rows, in the rows' order."""
    rows: list[Record] = [*RUN, make_record(arm="bf16", note=NOTE), make_record(**OUT_OF_MEMORY)]
    assert remarks_of(rows) == [
        "sdpa: not settled in B/16 attention b1 forward: arm in 1 of 3 passes",
        "manual, sdpa: oom: OutOfMemoryError: 3 GiB [3 rows]",
        f"bf16: {NOTE} [2 rows]",
    ]


def test_notes_of_a_row_are_told_apart() -> None:
    """Each note of a row stands by itself, with all the rows that it concerns."""
    rows = [make_record(), make_record(arm="sdpa")]
    meter = make_note("no meter", remedy="install one")
    notes = {rows[0].key: (meter, make_note("slow; very")), rows[1].key: (meter,)}
    assert remarks(rows, notes) == [
        "manual, sdpa: no meter; install one [2 rows]",
        "manual: slow; very",
    ]


def test_many_arms_are_counted() -> None:
    """A remark on more than three arms gives their number, not their names."""
    rows = [make_record(arm=f"{number}", note="no meter") for number in (1, 2, 3, 3)]
    assert remarks_of(rows) == ["1, 2, 3: no meter [4 rows]"]
    more = [*rows, make_record(arm="4", note="no meter")]
    assert remarks_of(more) == ["4 arms: no meter [5 rows]"]


def test_more_tables_stand_below_their_factor() -> None:
    """What else is to be shown of a factor's rows follows its table."""

    def more(records: Sequence[Record]) -> list[Table]:
        return [Table(f"{len(records)} rows of {records[0].factor}")]

    text = printed(summary(ANALYSIS, more=more))
    expected = ("attention: against", "6 rows of attention", "precision: ", "2 rows of precision")
    places = [text.index(each) for each in expected]
    assert places == sorted(places)


def test_a_change_of_kernels_is_said_below() -> None:
    """Below the tables stands which arm dispatched other kernels on another workload."""
    rows = [make_record(kernels="flash"), make_record(kernels="math", batch_size=64)]
    text = printed(summary(make_analysis(rows)), width=400)
    assert "changed its kernels between workloads: flash on B/16 b1 forward; math on" in text


def test_brackets_are_no_markup() -> None:
    """A user's arm may have any name; its baseline stands in the title."""
    row = make_record(arm="[/x]/m.py:new", baseline="[bold]m.py:old", inputs="[/y]/m.py:make")
    text = printed(summary(make_analysis([row])), width=200)
    for name in (row.arm, row.baseline, row.inputs):
        assert f"{name} " in text or f"{name}," in text


def test_no_remarks() -> None:
    """Where all went well there is nothing to remark."""
    assert remarks_of([make_record()]) == []


@pytest.mark.parametrize(
    ("share", "start"),
    [(None, "Nothing was measured."), (0.784, "78% of 3 min 20 s of measuring was inside")],
)
def test_share_line(share: float | None, start: str) -> None:
    """The measuring share is said, or that there is none."""
    assert share_line(share, 200).startswith(start)
