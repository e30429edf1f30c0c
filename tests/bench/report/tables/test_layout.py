"""bench.report.tables.layout: tables of any columns, for the terminal and as Markdown."""

from io import StringIO

from rich.console import Console

from bench.report.columns import Column, words
from bench.report.tables.layout import add_columns, fitting_width, markdown_table, new_table

COLUMNS: tuple[Column[int], ...] = (
    words("name", lambda n: f"a|<b>{n}"),
    Column(heading="half of it", text=lambda n: f"{n / 2}", detail=lambda n: f"of {n}"),
)


def test_markdown() -> None:
    """Numbers with details are aligned right; names cannot break the table."""
    assert markdown_table(COLUMNS, [3]) == [
        "| name | half of it |",
        "|---|---:|",
        "| a\\|&lt;b>3 | 1.5 (of 3) |",
    ]


def test_markdown_without_rows() -> None:
    """A table without rows has its headings."""
    assert markdown_table(COLUMNS, []) == ["| name | half of it |", "|---|---:|"]


def test_fitting_width() -> None:
    """A heading has two lines, a cell one; ``most`` limits cells, not a heading's line."""
    assert fitting_width("detectable effect", ["5.5 %"]) == len("detectable")
    assert fitting_width("95 % interval", ["0.99 to 1.01"]) == len("0.99 to 1.01")
    assert fitting_width("arm", ["x" * 50], 14) == 14
    assert fitting_width("workload", [], 3) == len("workload")


def test_numbers_are_not_folded() -> None:
    """At any width words are wrapped and numbers stay whole."""
    numbers: Column[str] = Column(heading="95 % interval", text=lambda _: "0.99 to 1.01")
    name: Column[str] = words("arm", lambda text: text)
    item = "a long name of an arm"
    table = new_table("[bold]")
    add_columns(table, (name, numbers), [item])
    table.add_row(item, numbers.text(item))
    console = Console(file=StringIO(), width=30)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    assert any("0.99 to 1.01" in line for line in lines)
    assert lines[0].startswith("[bold]")
    assert max(map(len, lines)) <= 30
