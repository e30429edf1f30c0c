"""What several commands share: how they print, tell their progress and name themselves."""

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.options import error_bound, names, share
from bench.record import OBJECTIVES, RunError

# A table in a file or a pipe must not be cut to a terminal's width.
_PIPE_COLUMNS = 140
# GitHub's name for the file that a job's page shows.
_JOB_SUMMARY = "GITHUB_STEP_SUMMARY"

delta_option = click.option(
    "--delta",
    type=share,
    default="2%",
    show_default=True,
    help="Arms that differ by less are equivalent.",
)
no_lock_option = click.option(
    "--no-lock", is_flag=True, help="Measure even while another run measures here."
)

show_option = click.option(
    "--show",
    type=names,
    default="cost",
    show_default=True,
    help="What arms cost, beside the verdicts: cost (what decides), or some of "
    "memory,work,compile,error,kernels,energy; all; none.",
)

objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default=OBJECTIVES[0],
    show_default=True,
    help="What to choose an implementation by.",
)
other_objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    help="What to choose an implementation by  [default: what the run was to choose by]",
)
max_error_option = click.option(
    "--max-error",
    type=error_bound,
    metavar="NUMBER",
    help="Choose no arm with a larger relative error, such as 1e-4  [default: its precision's own "
    "tolerance]",
)


def aim_of(given: dict[str, Any]) -> Any:
    """What to choose by, taken out of the options."""
    from bench.analysis.decision import Aim

    return Aim(objective=given.pop("objective"), max_error=given.pop("max_error"))


def command_line() -> str:
    """The command that runs now, as a user would type it."""
    return shlex.join(["vitbench", *sys.argv[1:]])


def output() -> Any:
    """A console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def progress() -> Any:
    """What tells how far a run is, on standard error."""
    from rich.console import Console

    from bench.report.progress import RunProgress

    return RunProgress(Console(stderr=True))


def source_of(results: Any) -> str:
    """Hardware, versions, commit, time and command of a run."""
    from bench.report.tables import provenance

    plan = results.plan
    own = (plan.commit, plan.has_changes)
    return provenance(results.environment, plan.command, plan.started, *own)


def show_verdicts(results: Any, views: Sequence[str] = (), aim: Any = None) -> None:
    """Print what to choose, a run's warnings, its verdict tables, and views of its costs.

    ``aim`` is what to choose by, where it is not what the run was to choose by.
    """
    from rich.text import Text

    from bench.machine import warnings
    from bench.report.costs import cost_tables
    from bench.report.decision import decision_table, open_lines
    from bench.report.decision_words import decision_notes
    from bench.report.tables import NARROW_COLUMNS, summary

    console = output()
    narrow = console.width < NARROW_COLUMNS
    decisions, aim = results.decisions(aim), aim or results.aim
    first: list[Any] = []
    if decisions:
        notes = map(Text, [*decision_notes(decisions, aim), *open_lines(decisions)])
        first = [decision_table(decisions, aim, narrow=narrow), *notes]
    parts = summary(
        results.analysis,
        warnings(results.environment),
        narrow=narrow,
        more=lambda records: cost_tables(records, views, console.width),
        first=first,
    )
    for part in parts.renderables:
        # A sentence in a file or a pipe is one line, for whoever greps it.
        console.print(part, soft_wrap=isinstance(part, Text) and not sys.stdout.isatty())


def show_run(results: Any, views: Sequence[str], aim: Any = None) -> None:
    """Print a run's tables and write its plots."""
    from bench.report.decision import decision_lines
    from bench.report.tables import share_line

    show_verdicts(results, views, aim)
    output().print(share_line(results.measuring_share, results.measure_s))
    source = source_of(results)
    click.echo(source)
    if not results.folder.exists():
        raise RunError(f"{results.folder} was removed; there is nowhere to write the plots")
    from bench.commands.drawing import write_drawings

    count = write_drawings(results, aim or results.aim)
    click.echo(f"Written: {results.folder}/report.html, results.csv and {count} plots beside it.")
    for line in decision_lines(results.decisions(aim)):
        click.echo(line)
    if os.environ.get(_JOB_SUMMARY):
        from bench.report.export import as_markdown

        tell_job(as_markdown(results.told(aim or results.aim)))


def other_aim(aim: Any, objective: str | None, max_error: float | None) -> Any:
    """What to choose by, where the options say another than the run's own."""
    return replace(
        aim,
        objective=objective or aim.objective,
        max_error=aim.max_error if max_error is None else max_error,
    )


def tell_job(text: str) -> None:
    """Add to the summary of a CI job, where this is one that shows it."""
    path = os.environ.get(_JOB_SUMMARY)
    if path:
        # Whoever made the folder may have taken it away; the text stands in the log as well.
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
