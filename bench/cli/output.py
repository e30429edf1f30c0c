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

    from bench.analysis.aim import Aim
    from bench.report.progress import RunProgress
    from bench.report.report_data import AgreementData, ReportData
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


def show_verdicts(results: "RunState", views: Sequence[str] = ()) -> None:
    """Print a run's verdicts between its warnings and remarks, and tables of costs."""
    from bench.report.tables.costs import VERDICT_VIEW

    console = output()
    _print(console, [_verdicts(results, (VERDICT_VIEW, *views), console.width)])


def _verdicts(results: "RunState", views: Sequence[str], width: int) -> "RenderableType":
    """The verdicts of a run, if they are among the views, and tables of costs."""
    from bench.records.environment import warnings
    from bench.report.tables.costs import VERDICT_VIEW, cost_tables
    from bench.report.tables.verdicts import verdict_tables

    return verdict_tables(
        results.analysis,
        warnings(results.environment),
        width=width,
        more=lambda records: cost_tables(records, views, width),
        has_verdicts=VERDICT_VIEW in views,
    )


def _print(console: "Console", parts: "Sequence[RenderableType]") -> None:
    """Print tables and sentences."""
    from rich.console import Group
    from rich.text import Text

    for part in parts:
        if isinstance(part, Group):
            _print(console, part.renderables)
        else:
            # A sentence in a file or a pipe is one line, so that grep finds it.
            console.print(part, soft_wrap=isinstance(part, Text) and not sys.stdout.isatty())


def _shown(
    data: "ReportData", results: "RunState", views: Sequence[str] | None, console: "Console"
) -> "list[RenderableType]":
    """The summary of a run, and the tables that are asked for below it.

    A run without anything to choose has no summary: its verdicts are shown, and what they cost.
    """
    from bench.report.tables.costs import DECISION_VIEW, USUAL_VIEW, VERDICT_VIEW
    from bench.report.tables.decision import decision_tables
    from bench.report.tables.layout import NARROW_COLUMNS
    from bench.report.tables.overview import overview
    from bench.report.tables.run_quality import share_line

    if not data.decisions:
        wanted = (VERDICT_VIEW, USUAL_VIEW) if views is None else (VERDICT_VIEW, *views)
        share = share_line(data.timed_share, data.spent_s)
        return [_verdicts(results, wanted, console.width), share]
    parts = overview(data, console)
    if views and DECISION_VIEW in views:
        narrow = console.width < NARROW_COLUMNS
        parts += ["", *decision_tables(data.decisions, data.aim, narrow=narrow)]
    if views and set(views) != {DECISION_VIEW}:
        parts += ["", _verdicts(results, views, console.width)]
    return parts


def show_run(
    results: "RunState", views: Sequence[str] | None = None, aim: "Aim | None" = None
) -> None:
    """Print the summary of a run and the tables asked for; write its plots and page.

    ``aim`` replaces the run's own criterion for recommendations.
    """
    console, data = output(), results.report_data(aim or results.aim)
    _print(console, _shown(data, results, views, console))
    click.echo(source_of(results))
    if not results.folder.exists():
        raise RunError(f"{results.folder} was removed during the run; the plots cannot be written")
    from bench.report.write import write_drawings

    count = write_drawings(results, data.aim)
    click.echo(f"Written: {results.folder}/report.html, results.csv, {count} plots.")
    if os.environ.get(_JOB_SUMMARY):
        from bench.report.export import as_markdown

        append_job_summary(as_markdown(data))


def show_agreement(data: "AgreementData") -> None:
    """Print how far runs agree."""
    from bench.report.tables.run_agreement import agreement_tables

    console = output()
    _print(console, agreement_tables(data, console.width))


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
