"""``vitbench report`` and ``vitbench export``: a run from its journal, for people and programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import (
    max_error_option,
    names,
    other_aim,
    other_objective_option,
    show_option,
)
from bench.cli.output import show_agreement, show_run
from bench.records.errors import InputError
from bench.report.write import drawing_beside, page_alone, source_of

if TYPE_CHECKING:
    from bench.analysis.aim import Aim
    from bench.runs.state import RunState

_FORMATS = ("markdown", "github-action-benchmark", "junit", "json", "csv")


class ReportOptions(TypedDict):
    """Values of the options of ``vitbench report``."""

    markdown: bool
    decision: bool
    brief: bool
    json: bool
    page: bool
    factors: tuple[str, ...] | None
    objective: str | None
    max_error: float | None
    show: tuple[str, ...] | None
    beside: tuple[Path, ...]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(_FORMATS), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="New file  [default: standard output]")
@other_objective_option
@max_error_option
def export(
    folder: Path, *, kind: str, out: Path | None, objective: str | None, max_error: float | None
) -> None:
    """Print the run in FOLDER in a format of other tools.

    \b
    markdown                 recommendations and verdicts, for a job summary
    github-action-benchmark  latencies, for its customSmallerIsBetter
    junit                    one case per arm; a failed arm is a failure
    json                     everything: environment, recommendations, rows
    csv                      the rows, as in results.csv

    \b
    vitbench export results/20261122-174846 --format markdown >> "$GITHUB_STEP_SUMMARY"
    """  # noqa: D301 (click wants the character itself)
    from bench.report.export import FORMATS
    from bench.runs.state import load

    results = load(folder)
    text = FORMATS[kind](results.report_data(other_aim(results.aim, objective, max_error)))
    if out is None:
        click.echo(text, nl=False)
    else:
        _write_new(out, text)


def _write_new(out: Path, text: str) -> None:
    """Write a file whole or not at all. Raises InputError if it exists or cannot be written."""
    from bench.files.atomic import write_atomically

    try:
        # A link without a target does not exist, but would be replaced.
        if out.exists() or out.is_symlink():
            raise InputError(f"{out} exists; give --out a new name (nothing was overwritten)")
        write_atomically(out, text)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); give --out another"
        ) from error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="Only print the tables, as Markdown.")
@click.option("--decision", is_flag=True, help="Only print the recommendations, as Markdown.")
@click.option("--brief", is_flag=True, help="With --decision: only the main columns.")
@click.option(
    "--json",
    is_flag=True,
    help="With --decision: as JSON, one object for each situation and level (best_full_precision, "
    "best). With --beside: as JSON, one object.",
)
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN",
    help="Only print how far the run agrees with another one of the same machine: choices, "
    "intervals, verdicts. Repeat for more runs.",
)
@click.option("--page", is_flag=True, help="Only write report.html, and print its path.")
@click.option("--factors", type=names, help="With --markdown: only these  [default: all]")
@other_objective_option
@max_error_option
@show_option
def report(folder: Path, **options: Unpack[ReportOptions]) -> None:
    """Make results.csv, tables, plots and page of the run in FOLDER from its journal."""
    from bench.report.tables.costs import known_views

    _check(options)
    # None: the usual tables.
    views = None if options["show"] is None else known_views(options["show"])
    factors = options["factors"]
    changes = (options["objective"], options["max_error"])
    if options["beside"]:
        _beside([_load(each) for each in (folder, *options["beside"])], options)
        return
    if options["page"]:
        with drawing_beside() as beside:
            results = _load(folder)
            click.echo(page_alone(results, other_aim(results.aim, *changes), beside))
        return
    results = _load(folder)
    aim = other_aim(results.aim, *changes)
    if options["json"]:
        from bench.report.decision_json import decisions_as_json

        click.echo(decisions_as_json(results.decisions(aim)), nl=False)
        return
    if options["markdown"] or options["decision"]:
        lines = _decision(results, aim, factors, brief=options["brief"])
        is_short = options["decision"]
        click.echo(
            "\n".join(lines) if is_short else _tables(results, factors, known_views(views), lines)
        )
        click.echo(source_of(results))
        return
    from bench.files.results_csv import write_csv

    if kept := write_csv(folder / "results.csv", results.records):
        click.echo(
            f"results.csv was changed by hand; that version is kept as {kept.name}", err=True
        )
    show_run(results, views, aim)


def _check(options: ReportOptions) -> None:
    """Raise UsageError for options that contradict each other."""
    if options["factors"] and not options["markdown"]:
        raise click.UsageError("--factors has no effect without --markdown; give both or neither")
    if options["brief"] and not options["decision"]:
        raise click.UsageError("--brief has no effect without --decision; give both or neither")
    if options["json"] and (options["brief"] or not (options["decision"] or options["beside"])):
        raise click.UsageError(
            "--json goes with --decision or --beside alone; give --decision --json"
        )
    if options["markdown"] + options["decision"] + options["page"] > 1:
        raise click.UsageError(
            "--markdown, --decision and --page are mutually exclusive; give one of them"
        )
    if options["beside"]:
        _check_beside(options)


def _check_beside(options: ReportOptions) -> None:
    """Raise UsageError for options that --beside does not take."""
    others = ("decision", "page", "factors", "show")
    if given := [name for name, value in options.items() if value and name in others]:
        raise click.UsageError(f"--{given[0]} has no effect with --beside; give one of them")
    if options["json"] and options["markdown"]:
        raise click.UsageError("--json and --markdown are mutually exclusive; give one of them")


def _beside(runs: "Sequence[RunState]", options: ReportOptions) -> None:
    """Print how far runs agree, by the aim of the first of them."""
    from bench.runs.beside import side_by_side

    aim = other_aim(runs[0].aim, options["objective"], options["max_error"])
    data = side_by_side(runs, aim)
    if options["json"]:
        from bench.report.run_agreement_json import agreement_as_json

        click.echo(agreement_as_json(data), nl=False)
    elif options["markdown"]:
        from bench.report.tables.run_agreement import agreement_markdown

        click.echo(agreement_markdown(data))
    else:
        show_agreement(data)


def _decision(
    results: "RunState", aim: "Aim", factors: Sequence[str] | None, *, brief: bool
) -> list[str]:
    """Return the recommendations as lines of Markdown; none if only some factors are shown."""
    from bench.report.tables.decision import decision_markdown

    return [] if factors else decision_markdown(results.decisions(aim), aim, brief=brief)


def _tables(
    results: "RunState", factors: Sequence[str] | None, views: Sequence[str], first: Sequence[str]
) -> str:
    """Return the tables of some factors as Markdown, below the lines ``first``."""
    from bench.report.tables.markdown import markdown

    return markdown(results.analysis, factors, views, first)


def _load(folder: Path) -> "RunState":
    """Read a run and warn if it is unfinished. Raises InputError if nothing was measured."""
    from bench.report.units import counted
    from bench.runs.state import load

    results = load(folder)
    if not results.samples:
        raise InputError(
            f"{folder}/journal.jsonl has no measurement; restore it, or measure with: "
            f"vitbench run --resume {folder} (nothing was written)"
        )
    if results.left:
        text = f"unfinished: {counted(results.left, 'planned measurement')} missing"
        click.echo(f"{text}; finish it with: vitbench run --resume {folder}", err=True)
    return results
