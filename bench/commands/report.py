"""``vitbench report``: show a run again, from its journal."""

from pathlib import Path

import click

from bench.commands.shared import (
    max_error_option,
    other_aim,
    other_objective_option,
    show_option,
    show_page,
    show_run,
    source_of,
)
from bench.options import names
from bench.record import InputError
from bench.report.units import counted


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
    """Make results.csv, tables and plots of the run in FOLDER again from its journal."""
    from bench.report.costs import known_views
    from bench.report.decision import decision_markdown
    from bench.report.markdown import markdown as as_markdown
    from bench.runner.results import load
    from bench.table import write_csv

    if factors and not markdown:
        raise click.UsageError("--factors chooses tables of --markdown; give both or neither")
    if markdown + decision + page > 1:
        raise click.UsageError("--markdown, --decision and --page exclude each other; give one")
    views = known_views(show)
    results = load(folder)
    if not results.samples:
        raise InputError(
            f"{folder}/journal.jsonl holds no measurement; restore it, or measure with: "
            f"vitbench run --resume {folder} (nothing was written)"
        )
    if results.left:
        text = f"unfinished: {counted(results.left, 'planned measurement')} missing"
        click.echo(f"{text}; finish it with: vitbench run --resume {folder}", err=True)
    aim = other_aim(results.aim, objective, max_error)
    if decision:
        click.echo("\n".join(decision_markdown(results.decisions(aim), aim)))
        click.echo(source_of(results))
        return
    if page:
        show_page(results, aim)
        return
    if markdown:
        first = [] if factors else decision_markdown(results.decisions(aim), aim)
        click.echo(as_markdown(results.analysis, factors, views, first))
        click.echo(source_of(results))
        return
    if kept := write_csv(folder / "results.csv", results.records):
        click.echo(f"results.csv had been changed; what it said is kept as {kept.name}", err=True)
    show_run(results, views, aim)
