"""What several commands share: how they print, tell their progress and name themselves."""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from bench.options import names, share

# A table in a file or a pipe must not be cut to a terminal's width.
_PIPE_COLUMNS = 140

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

    return provenance(results.environment, results.plan.command, results.plan.started)


def show_verdicts(results: Any, views: Sequence[str] = ()) -> None:
    """Print a run's warnings, what to know of it, its verdict tables, and views of its costs."""
    from rich.text import Text

    from bench.machine import warnings
    from bench.report.costs import cost_tables
    from bench.report.tables import NARROW_COLUMNS, summary

    console = output()
    parts = summary(
        results.analysis,
        warnings(results.environment),
        narrow=console.width < NARROW_COLUMNS,
        more=lambda records: cost_tables(records, views, console.width),
    )
    for part in parts.renderables:
        # A sentence in a file or a pipe is one line, for whoever greps it.
        console.print(part, soft_wrap=isinstance(part, Text) and not sys.stdout.isatty())
