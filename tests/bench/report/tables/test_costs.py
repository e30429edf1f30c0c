"""bench.report.tables.costs: views of arms' costs within the terminal's width."""

import re
from collections.abc import Sequence
from io import StringIO
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from bench.records.errors import InputError
from bench.records.row import Record
from bench.report.labels import by_factor, workload
from bench.report.tables.costs import (
    SECTIONS,
    USUAL_VIEW,
    VIEWS,
    columns,
    cost_markdown,
    cost_tables,
    known_views,
)
from helpers.arm_costs import LOST, ROWS, compiles, make_costly, precisions
from helpers.records import make_record
from helpers.reports import check_golden

ALL = SECTIONS + tuple(view for view in VIEWS if view != USUAL_VIEW)
FULL = [*compiles(), make_costly(reserved_bytes=1), make_costly(gradient_error=0.1)]
PRECISIONS = list(precisions())


def printed(tables: Sequence[Table], width: int) -> str:
    """Return the printed table without trailing blanks."""
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(*tables)
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def headings(tables: Sequence[Table]) -> list[list[str]]:
    """Return the headings of each table, without the two that all have."""
    return [[str(column.header) for column in table.columns[2:]] for table in tables]


@pytest.mark.parametrize(("width", "views"), [(80, ("cost", "compile")), (140, tuple(VIEWS))])
def test_golden(width: int, views: tuple[str, ...]) -> None:
    """The views in a narrow terminal and in a file equal the golden text."""
    tables = (cost_tables(group, views, width) for group in by_factor(ROWS))
    check_golden(f"costs_{width}.txt", printed(list(chain.from_iterable(tables)), width))


@pytest.mark.parametrize(
    ("names", "views"),
    [
        (None, ("cost",)),
        (("all",), ALL),
        (("none",), ()),
        ((), ()),
        (("cost",), ("cost",)),
        (("memory", "work"), ("memory", "work")),
    ],
)
def test_known_views(names: tuple[str, ...] | None, views: tuple[str, ...]) -> None:
    """The name "all" selects every view besides the usual one, "none" no view, no name that one."""
    assert known_views(names) == views


@pytest.mark.parametrize("names", [("memroy",), ("work", "times"), ("",)])
def test_an_unknown_view_lists_the_known(names: tuple[str, ...]) -> None:
    """The error has the unknown name and the known ones."""
    known = "decision, verdicts, cost, memory, work, compile, error, kernels, energy, all, none"
    with pytest.raises(InputError, match=f"^unknown view '.*'; known: {known}$"):
        known_views(names)


@pytest.mark.parametrize("names", [("memory", "all"), ("none", "work")])
def test_all_and_none_exclude_other_views(names: tuple[str, ...]) -> None:
    """A name "all" or "none" together with another view is an error."""
    with pytest.raises(InputError, match=r"^view '(all|none)' cannot be combined; give it alone$"):
        known_views(names)


def test_columns_without_content_are_left_out() -> None:
    """A column without values is left out, as is a view without columns; 0 is a value."""
    rows = [make_record(), make_record(graph_breaks=0, joules_per_image=0.0)]
    shown = columns(rows, ALL)
    assert {view: [column.heading for column in each] for view, each in shown.items()} == {
        "compile": ["graph breaks"],
        "error": ["numeric error"],
        "energy": ["J/image"],
    }
    assert cost_tables([make_record(output_error=None)], ALL, 140) == []
    assert cost_markdown([make_record(output_error=None)], ALL) == []


def test_every_column_has_its_own_value() -> None:
    """No column is always empty, and none shows another column's number."""
    shown = columns(FULL, tuple(VIEWS))
    assert {view: len(each) for view, each in shown.items()} == {
        view: len(each) for view, each in VIEWS.items()
    }


def test_the_interval_of_a_share_is_in_the_view_of_work() -> None:
    """The share of the limit has its interval among the work; the usual view is narrow."""
    row = make_costly(limit_share=0.75, limit_share_low=0.73, limit_share_high=0.77)
    work, usual = (
        [column.cell(row) for column in VIEWS[view] if column.heading == "of limit"]
        for view in ("work", USUAL_VIEW)
    )
    assert (work, usual) == (["75.0 % (73.0 % to 77.0 %)"], ["75.0 %"])


def test_views_share_a_table() -> None:
    """One table holds all views that fit, and names them."""
    (table,) = cost_tables(PRECISIONS, ("error", "energy"), 140)
    assert headings([table]) == [["numeric error", "largest error", "top-1 agreement", "J/image"]]
    assert str(table.title) == "precision: error, energy, on AMD EPYC 7B13"
    first, second = cost_tables(PRECISIONS, ("memory", "work"), 140)
    assert str(first.title).startswith("precision: memory, on")
    assert str(second.title).startswith("precision: work, on")


def test_a_wide_view_is_continued() -> None:
    """A wide view continues in the next table, in order and complete, and begins one."""
    (whole,) = headings(cost_tables(PRECISIONS, ("cost",), 200))
    first, *parts = headings(cost_tables(PRECISIONS, ("energy", "cost"), 70))
    assert len(parts) > 1
    assert [*first, *chain.from_iterable(parts)] == ["J/image", *whole]
    assert first == ["J/image"]


@settings(deadline=None)
@given(width=st.integers(60, 240), views=st.sets(st.sampled_from(tuple(VIEWS)), min_size=1))
def test_no_table_is_wider_than_the_terminal(width: int, views: set[str]) -> None:
    """At any width no line is longer, no number is broken, and a view that fits is not split."""
    shown = tuple(view for view in VIEWS if view in views)
    tables = cost_tables(FULL, shown, width)
    lines = printed(tables, width).splitlines()
    assert max(map(len, lines)) <= width
    said = [column.cell for each in columns(FULL, shown).values() for column in each]
    words = {cell(record) for cell in said for record in FULL} - {r.kernels for r in FULL}
    for word in words:
        assert any(word in line for line in lines)
    alone = [view for view in shown if len(cost_tables(FULL, (view,), width)) == 1]
    for view in alone:
        whole = [column.heading for column in columns(FULL, (view,))[view]]
        assert any(set(whole) <= set(each) for each in headings(tables))


@pytest.mark.parametrize("views", [("memory", "error"), ("memory", "compile"), ("work", "energy")])
def test_a_table_is_filled_to_the_last_column(views: tuple[str, ...]) -> None:
    """Two views share a table if they fit exactly, and not with one column less."""
    lines = printed(cost_tables(FULL, views, 300), 300).splitlines()
    need = max(map(len, lines))
    assert len(cost_tables(FULL, views, need)) == 1
    assert len(cost_tables(FULL, views, need - 1)) == 2


@pytest.mark.parametrize("width", [80, 140])
def test_brackets_are_not_markup(width: int) -> None:
    """Brackets in an arm's name are printed."""
    row = make_costly(arm="[/x]m.py:f", inputs="[b]1,8", kernels="[/y]")
    text = printed(cost_tables([row], ("cost",), width), width)
    for name in ("[/x]m.py:f", "[b]1,8", "[/y]"):
        assert name in text


def test_workloads_are_named_once() -> None:
    """In a terminal a workload is named in its first row only; in Markdown in every row."""
    rows: list[Record] = [*PRECISIONS[:4], LOST]
    (table,) = cost_tables(rows, ("memory",), 140)
    assert [str(cell) for cell in table.columns[0].cells] == [
        "B/16 patcher b1 forward",
        "",
        "",
        "",
        "B/16 model b1 train",
    ]
    lines = cost_markdown(rows, ("memory",))
    assert [line.split(" | ")[0] for line in lines[2:7]] == [f"| {workload(r)}" for r in rows]
    assert lines[7:] == [""]
