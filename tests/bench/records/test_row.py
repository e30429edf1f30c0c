"""bench.records.row: every column has a docstring, and results/README.md shows them."""

import os
import re
from pathlib import Path

from bench.records.row import COLUMNS, Record
from helpers.documentation import documentation

README = Path(__file__).parents[3] / "results" / "README.md"
TABLE = re.compile(r"(?<=<!-- columns -->\n).*?(?=<!-- end -->)", re.DOTALL)


def column_table() -> str:
    """Return the table of columns in results/README.md."""
    rows = (f"| `{name}` | {text} |" for name, text in documentation(Record).items())
    return "\n".join(["| column | meaning |", "|---|---|", *rows]).replace("``", "`") + "\n"


def test_every_column_is_documented_at_its_field() -> None:
    """Every column has a docstring of a sentence or more."""
    found = documentation(Record)
    assert tuple(found) == COLUMNS
    assert [name for name, text in found.items() if len(text) < 10 or not text.endswith(".")] == []


def test_units_are_named() -> None:
    """The docstring of a column with a unit in its name spells out the unit."""
    words = {"_ms": "milliseconds", "_s": "second", "_bytes": "bytes", "_images": "mages"}
    missing = [
        name
        for name, text in documentation(Record).items()
        for end, word in words.items()
        if name.endswith(end) and word not in text
    ]
    assert missing == []


def test_the_readme_of_results_has_the_same_table() -> None:
    """The table is up to date; update it by nox -s readme or VITBENCH_UPDATE_GOLDEN=1."""
    text = README.read_text("utf-8")
    if os.environ.get("VITBENCH_UPDATE_GOLDEN") == "1":
        text = TABLE.sub(lambda _: column_table(), text)
        README.write_text(text, "utf-8")
    assert TABLE.findall(text) == [column_table()]
