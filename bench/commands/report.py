"""``vitbench report``: show a run again, from its journal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.commands.drawing import drawing_beside, page_alone
from bench.commands.shared import (
    max_error_option,
    other_aim,
    other_objective_option,
    show_option,
    show_run,
    source_of,
)
from bench.options import names
from bench.record import InputError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown, nothing else.")
@click.option("--decision", is_flag=True, help="Print what to choose as Markdown, nothing else.")
@click.option("--page", is_flag=True, help="Write report.html and print its path, nothing else.")
@click.option("--factors", type=names, help="Only these, with --markdown  [default: all]")
@other_objective_option
@max_error_option
@show_option
def report(
    folder: Path,
    *,
    markdown: bool,
    decision: bool,
    page: bool,
    factors: tuple[str, ...] | None,
    show: tuple[str, ...],
    objective: str | None,
    max_error: float | None,
) -> None:
    """Make results.csv, tables, plots and page of the run in FOLDER again from its journal."""
    from bench.report.costs import known_views

    if factors and not markdown:
        raise click.UsageError("--factors chooses tables of --markdown; give both or neither")
    if markdown + decision + page > 1:
        raise click.UsageError("--markdown, --decision and --page exclude each other; give one")
    views = known_views(show)
    if page:
        with drawing_beside() as beside:
            results = _measured(folder)
            aim = other_aim(results.aim, objective, max_error)
            click.echo(page_alone(results, aim, beside))
        return
    results = _measured(folder)
    aim = other_aim(results.aim, objective, max_error)
    if markdown or decision:
        click.echo(_markdown(results, aim, factors, None if decision else views))
        click.echo(source_of(results))
        return
    from bench.table import write_csv

    if kept := write_csv(folder / "results.csv", results.records):
        click.echo(f"results.csv had been changed; what it said is kept as {kept.name}", err=True)
    show_run(results, views, aim)


def _markdown(
    results: Any, aim: Any, factors: Sequence[str] | None, views: Sequence[str] | None
) -> str:
    """What to choose, and the tables of some factors; without views nothing but what to choose."""
    from bench.report.decision import decision_markdown
    from bench.report.markdown import markdown

    first = [] if factors else decision_markdown(results.decisions(aim), aim)
    return "\n".join(first) if views is None else markdown(results.analysis, factors, views, first)


def _measured(folder: Path) -> Any:
    """The run in a folder. Raises InputError where nothing was measured; warns of what lacks."""
    from bench.report.units import counted
    from bench.runner.results import load

    results = load(folder)
    if not results.samples:
        raise InputError(
            f"{folder}/journal.jsonl holds no measurement; restore it, or measure with: "
            f"vitbench run --resume {folder} (nothing was written)"
        )
    if results.left:
        text = f"unfinished: {counted(results.left, 'planned measurement')} missing"
        click.echo(f"{text}; finish it with: vitbench run --resume {folder}", err=True)
    return results
