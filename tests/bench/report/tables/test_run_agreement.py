"""bench.report.tables.run_agreement: the choices of runs side by side."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from bench.analysis.run_agreement import Coverage
from bench.report.report_data import AgreementData
from bench.report.tables.run_agreement import (
    agreement_markdown,
    agreement_tables,
    difference_text,
)
from helpers.agreements import BF16, CHOICES, choice, make_agreement, three_runs, two_runs
from helpers.reports import check_golden


def printed(data: AgreementData, width: int = 140) -> str:
    """Return what a pipe shows."""
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        for part in agreement_tables(data, width):
            console.print(part, soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def test_two_runs_equal_the_golden_text() -> None:
    """Every outcome, the intervals, a contradiction and the runs are shown."""
    check_golden("run_agreement.txt", printed(two_runs()))


def test_markdown_equals_the_golden_text() -> None:
    """The same as Markdown, of three runs and their pairs."""
    check_golden("run_agreement.md", agreement_markdown(three_runs()) + "\n")


def test_a_narrow_terminal_shows_every_word() -> None:
    """At 80 columns cells are folded, and nothing is cut."""
    table, _, _ = printed(two_runs(), 80).partition("Choices:")
    assert max(map(len, table.splitlines())) <= 80
    wide = printed(two_runs()).partition("Choices:")[0]
    words = {word for word in wide.split() if word.isalnum()}
    assert words <= set(table.split())


def test_of_several_runs_the_worst_pair_is_shown() -> None:
    """A line has the choice of each run, and the two that differ most."""
    (line,) = [x for x in agreement_markdown(three_runs()).splitlines() if x.startswith("| B/16")]
    assert line == (
        "| B/16 b1 forward | of all | bf16 | bf16 | sdpa + bf16 | 5.1 %, at most 6.0 % "
        "| more than 2.0 % apart |"
    )


def test_a_situation_that_one_run_lacks_has_no_line() -> None:
    """Of three runs, only what all of them decided is in the table."""
    data = three_runs()
    lacking = make_agreement(choice(2, BF16, BF16))
    data = replace(data, pairs=data.pairs | {(1, 2): lacking})
    text = agreement_markdown(data)
    assert not any(line.startswith("|") for line in text.splitlines())
    assert "- run 2 and run 3: Choices: 1 of 1 agree (1 same); 1 situation in one run only." in text


def test_differences_are_shown_where_they_are_known() -> None:
    """The same choice, and one that no run compared, have no number."""
    texts = [difference_text(each) for each in CHOICES]
    assert texts == [
        "",
        "0.5 %, at most 0.9 %",
        "1.5 %, at most 3.2 %",
        "99 %, at most 105 %",
        "",
        "",
    ]


def test_runs_without_common_rows_say_so() -> None:
    """There is no share of nothing, and no verdict to contradict."""
    none = (Coverage(0, 0, 0.0), Coverage(0, 0, 0.0))
    found = replace(make_agreement(), coverages=none, opposite=(), only_once=0)
    text = printed(replace(two_runs(), pairs={(0, 1): found}))
    assert "Intervals: no candidate has one in both runs." in text
    assert "Verdicts" not in text
    assert "in one run only" not in text


def test_runs_without_common_situations_say_so() -> None:
    """A comparison of a user's own arms has rows, and nothing to choose."""
    found = replace(make_agreement(), choices=(), only_once=0)
    text = printed(replace(two_runs(), pairs={(0, 1): found}))
    assert text.startswith("Choices: none in both.\n95 % intervals of 40 candidates: 33 of run 1")
