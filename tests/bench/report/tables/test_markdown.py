"""bench.report.tables.markdown: the tables as a pull request shows them."""

import pytest

from bench.records.errors import InputError
from bench.report.tables.costs import VIEWS
from bench.report.tables.markdown import markdown
from bench.report.tables.verdicts import VERDICT_COLUMNS
from helpers.arm_costs import ROWS
from helpers.records import make_analysis, make_record
from helpers.reports import ANALYSIS, RUN, check_golden


def test_markdown() -> None:
    """The tables as Markdown, for a README or a pull request."""
    check_golden("markdown.txt", markdown(ANALYSIS, ("attention", "precision")))


def test_markdown_of_a_factor() -> None:
    """Only the rows of the factors that were asked for, below what holds for the whole run."""
    text = markdown(ANALYSIS, ("precision",))
    assert "**precision**" in text
    assert "**attention**" not in text
    assert text.startswith("- Controls on cpu: 1 of 2 copies")


def test_markdown_of_a_factor_that_was_not_measured() -> None:
    """The error names those that were."""
    with pytest.raises(InputError, match="factor 'compile' was not measured; expected some of att"):
        markdown(ANALYSIS, ("attention", "compile"))


def test_markdown_of_own_arms_has_all() -> None:
    """Without a choice every factor is shown, a user's own arms too, and every remark."""
    own = make_record(factor="factory", arm="a.py:f", baseline="a.py:g", inputs="2,8", note="slow")
    text = markdown(make_analysis([own]))
    assert "**compare**, against `a.py:g`" in text
    assert "| 2,8 forward | a.py:f |" in text
    assert text.endswith("- a.py:f: slow\n")


def test_markdown_of_costs() -> None:
    """Views of what arms cost stand below the verdicts of their factor, a table for each."""
    check_golden("markdown_costs.txt", markdown(make_analysis(ROWS), views=[*VIEWS]))


def test_markdown_of_costs_is_rectangular() -> None:
    """Each row of each table has a cell under every heading, also where nothing is known."""
    text = markdown(make_analysis(ROWS), views=[*VIEWS])
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) > len(VIEWS)
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_markdown_says_where_kernels_changed() -> None:
    """What is said below the tables in a terminal is said here too."""
    rows = [make_record(kernels="flash"), make_record(kernels="math", batch_size=64)]
    (line,) = markdown(make_analysis(rows)).splitlines()[-1:]
    assert line.startswith("- attention manual (attention, cpu) changed its kernels")


def test_markdown_is_rectangular() -> None:
    """Each row of a Markdown table has a cell under every heading."""
    text = markdown(ANALYSIS, ("attention", "precision"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(RUN) + 2 * 2
    assert {line.count("|") for line in lines} == {len(VERDICT_COLUMNS) + 1}
