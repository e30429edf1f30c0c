"""``vitbench report``: show a run again, from its journal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import (
    max_error_option,
    names,
    other_aim,
    other_objective_option,
    show_option,
)
from bench.cli.output import show_run
from bench.records.errors import InputError
from bench.report.write import drawing_beside, page_alone, source_of

_FORMATS = ("markdown", "github-action-benchmark", "junit", "json", "csv")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(_FORMATS), required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new file  [default: standard output]"
)
@other_objective_option
@max_error_option
def export(
    folder: Path, *, kind: str, out: Path | None, objective: str | None, max_error: float | None
) -> None:
    """Print the run in FOLDER as other tools read it.

    \b
    markdown                 what to choose and every verdict, for a job summary
    github-action-benchmark  latencies, for its customSmallerIsBetter
    junit                    a case for each arm; what failed is a failure
    json                     everything: environment, decisions, rows
    csv                      the rows, as results.csv

    \b
    vitbench export results/20261122-174846 --format markdown >> "$GITHUB_STEP_SUMMARY"
    """  # noqa: D301 (click wants the character itself)
    from bench.report.export import FORMATS
    from bench.runs.state import load

    results = load(folder)
    text = FORMATS[kind](results.report_data(other_aim(results.aim, objective, max_error)))
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(
            f"{out} exists; give --out a new name (nothing was overwritten)"
        ) from error
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); give --out another"
        ) from error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown, nothing else.")
@click.option("--decision", is_flag=True, help="Print what to choose as Markdown, nothing else.")
@click.option("--brief", is_flag=True, help="Only the columns that decide, with --decision.")
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
    brief: bool,
    page: bool,
    factors: tuple[str, ...] | None,
    show: tuple[str, ...],
    objective: str | None,
    max_error: float | None,
) -> None:
    """Make results.csv, tables, plots and page of the run in FOLDER again from its journal."""
    from bench.report.tables.costs import known_views

    if factors and not markdown:
        raise click.UsageError("--factors chooses tables of --markdown; give both or neither")
    if brief and not decision:
        raise click.UsageError("--brief shortens the table of --decision; give both or neither")
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
        lines = _decision(results, aim, factors, brief=brief)
        click.echo("\n".join(lines) if decision else _tables(results, factors, views, lines))
        click.echo(source_of(results))
        return
    from bench.files.results_csv import write_csv

    if kept := write_csv(folder / "results.csv", results.records):
        click.echo(f"results.csv had been changed; what it said is kept as {kept.name}", err=True)
    show_run(results, views, aim)


def _decision(results: Any, aim: Any, factors: Sequence[str] | None, *, brief: bool) -> list[str]:
    """The decisions of a run as lines of Markdown; none where only some factors are shown."""
    from bench.report.tables.decision import decision_markdown

    return [] if factors else decision_markdown(results.decisions(aim), aim, brief=brief)


def _tables(
    results: Any, factors: Sequence[str] | None, views: Sequence[str], first: Sequence[str]
) -> str:
    """The tables of some factors as Markdown, below the lines ``first``."""
    from bench.report.tables.markdown import markdown

    return markdown(results.analysis, factors, views, first)


def _measured(folder: Path) -> Any:
    """The run in a folder. Raises InputError where nothing was measured; warns of what lacks."""
    from bench.report.units import counted
    from bench.runs.state import load

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
