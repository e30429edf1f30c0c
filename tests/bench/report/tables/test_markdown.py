"""bench.report.tables.markdown: the tables as Markdown for a pull request."""

import pytest

from bench.records.errors import InputError
from bench.report.tables.costs import VIEWS
from bench.report.tables.markdown import markdown
from bench.report.tables.verdicts import VERDICT_COLUMNS
from helpers.arm_costs import ROWS
from helpers.records import make_analysis, make_record
from helpers.reports import ANALYSIS, RUN, check_golden


def test_markdown() -> None:
    """The tables as Markdown equal the golden text."""
    check_golden("markdown.txt", markdown(ANALYSIS, ("attention", "precision")))


def test_markdown_of_a_factor() -> None:
    """Only the rows of the selected factors follow the facts of the whole run."""
    text = markdown(ANALYSIS, ("precision",))
    assert "**precision**" in text
    assert "**attention**" not in text
    assert text.startswith("- Controls on cpu: 1 of 2 copies")


def test_markdown_of_a_factor_that_was_not_measured() -> None:
    """The error lists the factors that were measured."""
    with pytest.raises(InputError, match="factor 'compile' was not measured; expected some of att"):
        markdown(ANALYSIS, ("attention", "compile"))


def test_markdown_of_own_arms_has_all() -> None:
    """Without a selection all factors are shown, with a user's own arms and every remark."""
    own = make_record(factor="factory", arm="a.py:f", baseline="a.py:g", inputs="2,8", note="slow")
    text = markdown(make_analysis([own]))
    assert "**compare**, against `a.py:g`" in text
    assert "| 2,8 forward | a.py:f |" in text
    assert text.endswith("- a.py:f: slow\n")


def test_markdown_of_costs() -> None:
    """Cost views follow the verdicts of their factor, one table each."""
    check_golden("markdown_costs.txt", markdown(make_analysis(ROWS), views=[*VIEWS]))


def test_markdown_of_costs_is_rectangular() -> None:
    """Each row has a cell under every heading, also for missing values."""
    text = markdown(make_analysis(ROWS), views=[*VIEWS])
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) > len(VIEWS)
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_markdown_has_kernel_changes() -> None:
    """Notes on changed kernels are in the Markdown, as below the terminal's tables."""
    rows = [make_record(kernels="flash"), make_record(kernels="math", batch_size=64)]
    (line,) = markdown(make_analysis(rows)).splitlines()[-1:]
    assert line.startswith("- attention manual (attention, cpu) changed its kernels")


def test_markdown_is_rectangular() -> None:
    """Each row of a Markdown table has a cell under every heading."""
    text = markdown(ANALYSIS, ("attention", "precision"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(RUN) + 2 * 2
    # No row of precision has an effect on the whole.
    widths = [line.count("|") - 1 for line in lines]
    assert widths == [len(VERDICT_COLUMNS)] * 8 + [len(VERDICT_COLUMNS) - 1] * 4


def test_undecided_rows_come_last() -> None:
    """Undecided candidates follow all others of their table; the control keeps its place."""
    text = markdown(ANALYSIS, ("attention",))
    arms = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| B/16")]
    assert arms == ["mha", "manual", "mha", "manual", "sdpa", "sdpa"]
