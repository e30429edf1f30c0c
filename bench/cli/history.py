"""``vitbench history`` and ``vitbench trend``: runs kept in a CSV, and what changed since."""

import fnmatch
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bench.cli.options import share
from bench.cli.output import output
from bench.records.errors import InputError

USUAL = Path("results/history.csv")
_FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=USUAL,
    show_default=True,
    help="The history; plain CSV that may live in git.",
)


@click.group()
def history() -> None:
    """Keep runs in a history, for vitbench trend."""


@history.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_FILE
def add(folder: Path, path: Path) -> None:
    """Add the run in FOLDER to the history: a line for each arm, its time / the yardstick's.

    FOLDER is of vitbench run, or of vitbench compare --out.

    The yardstick is one frozen encoder block that every run times beside every comparison, so that
    a faster machine makes no faster model. A run counts once.
    """
    from bench.files.history_csv import append, points
    from bench.report.units import counted
    from bench.runs.state import load

    results = load(folder)
    plan = results.plan
    found = points(results.records, results.environment, plan.started, plan.commit)
    statuses = {record.status for record in results.records} - {"ok"}
    if not found and statuses == {record.status for record in results.records}:
        raise InputError(f"{folder} has no arm that is ok: {', '.join(sorted(statuses))}")
    if not found:
        raise InputError(
            f"{folder} has no arm that was measured beside the yardstick; measure with this "
            "version: vitbench run, or vitbench compare"
        )
    append(path, found)
    click.echo(f"{path}: {counted(len(found), 'line')} of run {plan.run_id} added.")


@click.command()
@_FILE
@click.option("--series", default="*", show_default=True, help="Only these: 'precision *bf16'.")
@click.option(
    "--false-share",
    type=share,
    default="5%",
    show_default=True,
    help="How many of the changes that are told may be none, over all series.",
)
@click.option(
    "--least",
    type=click.IntRange(2),
    default=3,
    show_default=True,
    help="Runs that a level must last to be one.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for trend.png and trend.svg  [default: beside the history]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each change.")
@click.option(
    "--simulate",
    is_flag=True,
    help="Show what this finds and makes up in simulated histories, beside fixed thresholds.",
)
def trend(
    path: Path,
    series: str,
    false_share: float,
    least: int,
    out: Path | None,
    *,
    as_json: bool,
    simulate: bool,
) -> None:
    """Lasting changes in the history: how much, since when, and between which commits.

    A change is told where the runs before and after it differ more than the same runs in random
    order would, with the share of false changes over all series held to --false-share.
    """
    if simulate:
        _simulate()
        return
    from bench.analysis.change_points import changes, least_runs
    from bench.files.history_csv import read
    from bench.report.trend import by_series, commits, trend_line, trend_table

    found = {n: p for n, p in by_series(read(path)).items() if fnmatch.fnmatchcase(n, series)}
    if not found:
        raise InputError(
            f"{path} has no series like {series!r}; expected a pattern such as '*bf16'"
        )
    ratios = {name: [point.ratio for point in points] for name, points in found.items()}
    changed = changes(ratios, least, false_share)
    if as_json:
        for each in changed:
            points = found[each.series]
            told = {
                **asdict(each),
                "change": each.change,
                "commits": commits(points, each.earliest, each.latest),
                "most_likely": commits(points, each.index),
            }
            click.echo(json.dumps(told))
        return
    needed = least_runs(len(found), least, false_share)
    click.echo(trend_line(found, changed, false_share, needed))
    if changed:
        output().print(trend_table(found, changed))
    for written in _draw(found, changed, out or path.parent, str(path)):
        click.echo(f"Written: {written}")


def _draw(series: Any, changed: Any, folder: Path, source: str) -> list[Path]:
    import matplotlib as mpl

    from bench.report.plots.canvas import STYLE, save
    from bench.report.trend import trend_figure

    with mpl.rc_context(STYLE):
        figure = trend_figure(series, changed, source)
    return save(folder, "trend", figure)


def _simulate() -> None:
    from bench.analysis.simulated_history import simulate_histories
    from bench.report.trend import simulation_table

    found = [each for change in (0.05, 0.1) for each in simulate_histories(change=change)]
    output().print(simulation_table(found))
