"""``vitbench history`` and ``vitbench trend``: runs kept in a CSV, and lasting changes in it."""

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import share
from bench.cli.output import output
from bench.records.errors import InputError

if TYPE_CHECKING:
    from bench.analysis.change_points import Change
    from bench.report.trend_series import History

USUAL = Path("results/history.csv")
_FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=USUAL,
    show_default=True,
    help="File of the history, a CSV that can be kept in git.",
)


@click.group()
def history() -> None:
    """Keep runs in a history, for vitbench trend."""


@history.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_FILE
def add(folder: Path, path: Path) -> None:
    """Add the run in FOLDER to the history: a line per arm, with its ratio to the yardstick.

    FOLDER is that of vitbench run, or of vitbench compare --out.

    The yardstick is one frozen encoder block that every run times next to every comparison, so that
    a faster machine does not look like a faster model. A run can be added once.
    """
    from bench.files.history_csv import append, points
    from bench.report.units import counted
    from bench.runs.state import load

    results = load(folder)
    plan = results.plan
    found = points(results.records, results.environment, plan.started, plan.commit)
    statuses = {record.status for record in results.records} - {"ok"}
    if not found and statuses == {record.status for record in results.records}:
        raise InputError(
            f"{folder} has no arm with status ok, only {', '.join(sorted(statuses))}; see the "
            "column error of its results.csv and measure again"
        )
    if not found:
        raise InputError(
            f"{folder} has no arm that was measured together with the yardstick; measure it again "
            "with: vitbench run, or vitbench compare"
        )
    append(path, found)
    click.echo(f"{path}: {counted(len(found), 'line')} of run {plan.run_id} added.")


@click.command()
@_FILE
@click.option(
    "--series", default="*", show_default=True, help="Pattern of series, e.g. 'precision *bf16'."
)
@click.option(
    "--false-share",
    type=share,
    default="5%",
    show_default=True,
    help="Allowed share of false changes among those reported, over all series.",
)
@click.option(
    "--least",
    type=click.IntRange(2),
    default=3,
    show_default=True,
    help="Minimum number of runs between two changes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for trend.png and trend.svg  [default: that of the history]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per change.")
@click.option(
    "--markdown", is_flag=True, help="Print Markdown with a Mermaid chart, for a job's summary."
)
@click.option(
    "--simulate",
    is_flag=True,
    help="Show detections and false alarms in simulated histories, also of fixed thresholds.",
)
def trend(
    path: Path,
    series: str,
    false_share: float,
    least: int,
    out: Path | None,
    *,
    as_json: bool,
    markdown: bool,
    simulate: bool,
) -> None:
    """Report lasting changes in the history: size, time, and range of commits.

    A change is reported if the runs before and after it differ more than the same runs in random
    order would. The expected share of false changes over all series is at most --false-share.
    """
    if simulate:
        _simulate()
        return
    from bench.files.history_csv import read
    from bench.report.trend_series import by_series, changes_of

    found = {n: each for n, each in by_series(read(path)).items() if fnmatch.fnmatchcase(n, series)}
    if not found:
        raise InputError(
            f"{path} has no series like {series!r}; expected a pattern such as '*bf16'"
        )
    changed = changes_of(found, least, false_share)
    if as_json:
        _print_json(found, changed)
        return
    _print(found, changed, (false_share, least), markdown=markdown)
    for written in _draw(found, changed, out or path.parent, str(path)):
        click.echo(f"Written: {written}", err=markdown)


def _print(
    series: "History", changed: "Sequence[Change]", limits: tuple[float, int], *, markdown: bool
) -> None:
    """Print lines, then the table of changes; as Markdown also the chart."""
    from bench.analysis.change_points import least_runs
    from bench.report.trend import noise_lines, trend_line
    from bench.report.trend_summary import trend_markdown
    from bench.report.trend_table import trend_table

    share, least = limits
    needed = least_runs(len(series), least, share)
    lines = [trend_line(series, changed, share, needed), *noise_lines(series, share, least)]
    if markdown:
        click.echo(trend_markdown(series, changed, lines))
        return
    for line in lines:
        click.echo(line)
    if changed:
        output().print(trend_table(series, changed))


def _print_json(series: "History", changed: "Sequence[Change]") -> None:
    from bench.report.trend_table import commits

    for each in changed:
        points = series[each.series].points
        cells = {
            **asdict(each),
            "against": series[each.series].against,
            "change": each.change,
            "commits": commits(points, each.earliest, each.latest),
            "most_likely": commits(points, each.index),
        }
        click.echo(json.dumps(cells))


def _draw(series: "History", changed: "Sequence[Change]", folder: Path, source: str) -> list[Path]:
    import matplotlib as mpl

    from bench.report.plots.canvas import STYLE, save
    from bench.report.trend_chart import trend_figure

    with mpl.rc_context(STYLE):
        figure = trend_figure(series, changed, source)
    return save(folder, "trend", figure)


def _simulate() -> None:
    from rich.console import Console
    from rich.progress import track

    from bench.analysis.run_noise import NOISES
    from bench.analysis.simulated_history import simulate_histories
    from bench.report.trend_table import simulation_table

    console = Console(stderr=True)
    settings = track(
        [(noise, change) for noise in NOISES for change in (0.05, 0.1)],
        "simulating",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    found = [
        each
        for noise, change in settings
        for each in simulate_histories(change=change, noise=noise)
    ]
    output().print(simulation_table(found))
