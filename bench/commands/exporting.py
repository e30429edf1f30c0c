"""``vitbench export``: a run for other tools."""

from pathlib import Path

import click

from bench.commands.shared import max_error_option, other_aim, other_objective_option
from bench.record import InputError

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
    from bench.runner.results import load

    results = load(folder)
    text = FORMATS[kind](results.told(other_aim(results.aim, objective, max_error)))
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
