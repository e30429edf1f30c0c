"""Output of commands: tables, progress, the summary of a CI job."""

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.records.errors import RunError
from bench.report.write import source_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bench.analysis.decision import Aim
    from bench.report.progress import RunProgress
    from bench.runs.state import RunState

# A table in a file or a pipe must not be cut to a terminal's width.
_PIPE_COLUMNS = 140
# GitHub's name for the file that a job's page shows.
_JOB_SUMMARY = "GITHUB_STEP_SUMMARY"


def command_line() -> str:
    """Return the current command as a user would type it."""
    return shlex.join(["vitbench", *sys.argv[1:]])


def output() -> "Console":
    """Return a console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def progress() -> "RunProgress":
    """Return the progress display of a run, on standard error."""
    from rich.console import Console

    from bench.report.progress import RunProgress

    return RunProgress(Console(stderr=True))


def show_verdicts(results: "RunState", views: Sequence[str] = (), aim: "Aim | None" = None) -> None:
    """Print the recommendations of a run, its warnings, verdicts and tables of costs.

    ``aim`` replaces the run's own criterion for recommendations.
    """
    from rich.text import Text

    from bench.records.environment import warnings
    from bench.report.tables.costs import cost_tables
    from bench.report.tables.decision import contender_lines, decision_table
    from bench.report.tables.decision_notes import decision_notes
    from bench.report.tables.layout import NARROW_COLUMNS
    from bench.report.tables.verdicts import summary

    console = output()
    narrow = console.width < NARROW_COLUMNS
    decisions, aim = results.decisions(aim), aim or results.aim
    first: list[RenderableType] = []
    if decisions:
        notes = map(Text, [*decision_notes(decisions, aim), *contender_lines(decisions)])
        first = [decision_table(decisions, aim, narrow=narrow), *notes]
    parts = summary(
        results.analysis,
        warnings(results.environment),
        narrow=narrow,
        more=lambda records: cost_tables(records, views, console.width),
        first=first,
    )
    for part in parts.renderables:
        # A sentence in a file or a pipe is one line, so that grep finds it.
        console.print(part, soft_wrap=isinstance(part, Text) and not sys.stdout.isatty())


def show_run(results: "RunState", views: Sequence[str], aim: "Aim | None" = None) -> None:
    """Print a run's tables and write its plots and page."""
    from bench.report.tables.decision import decision_lines
    from bench.report.tables.verdicts import share_line

    show_verdicts(results, views, aim)
    output().print(share_line(results.measuring_share, results.spent_s))
    source = source_of(results)
    click.echo(source)
    if not results.folder.exists():
        raise RunError(f"{results.folder} was removed during the run; the plots cannot be written")
    from bench.report.write import write_drawings

    count = write_drawings(results, aim or results.aim)
    click.echo(f"Written: {results.folder}/report.html, results.csv, {count} plots.")
    for line in decision_lines(results.decisions(aim)):
        # Without a file click writes UTF-8 to a terminal that is limited to ASCII.
        click.echo(line, file=sys.stdout)
    if os.environ.get(_JOB_SUMMARY):
        from bench.report.export import as_markdown

        append_job_summary(as_markdown(results.report_data(aim or results.aim)))


def show_logs(folder: Path) -> None:
    """Print where the output and the errors of the arms of a run are."""
    click.echo(f"output and errors of the arms: {folder}/passes/*.log", err=True)


def append_job_summary(text: str) -> None:
    """Append to the summary of a GitHub job, if this is one."""
    path = os.environ.get(_JOB_SUMMARY)
    if path:
        # The runner may have removed the folder; the log has the text as well.
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
