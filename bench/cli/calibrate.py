"""``vitbench calibrate`` and ``vitbench simulate``: how far the verdicts can be believed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.cli.options import duration, no_lock_option
from bench.cli.output import command_line, output, progress
from bench.records.comparison import DEVICES
from bench.report.write import source_of


@click.command()
@click.option("--budget", type=duration, default="10m", show_default=True, help="Time for all.")
@click.option("--passes", type=click.IntRange(2), default=5, show_default=True, help="Processes.")
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of comparisons.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder  [default: results/calibration-<time>]",
)
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Measure nothing: score the calibration in DIR again.",
)
@no_lock_option
def calibrate(**given: Any) -> None:
    """Measure how often verdicts are wrong on this machine.

    Compares identical stacks of layers, 21 layers with 20, and 51 with 50, and counts what this
    suite says of them, beside what medians of one arm after the other and pytest-benchmark's own
    compare would have said of the same samples. Prints a table and a sentence; writes
    calibration.csv and a plot. A calibration that was ended goes on with vitbench run --resume DIR,
    then --again DIR.
    """
    from bench.files.results_csv import write_rates
    from bench.report.calibration import sentence, table

    found = _calibration(given)
    folder = found.results.folder
    output().print(table(found.rates))
    click.echo(sentence(found.rates))
    source = source_of(found.results)
    click.echo(source)
    write_rates(folder / "calibration.csv", found.rates)
    from bench.report.calibration import calibration_figure
    from bench.report.plots.canvas import save

    paths = save(folder / "plots", "calibration", calibration_figure(found.rates, source))
    click.echo(f"Written: {folder}/calibration.csv and {paths[0]}")


def _calibration(given: dict[str, Any]) -> Any:
    from bench.runs import calibrate as runner

    again, out = given.pop("again"), given.pop("out")
    if again is not None:
        return runner.read(again)
    folder = out or Path("results") / datetime.now(UTC).strftime("calibration-%Y%m%d-%H%M%S")
    request = runner.CalibrateRequest(
        budget_s=given.pop("budget"),
        lock=not given.pop("no_lock"),
        folder=folder,
        command=command_line(),
        **given,
    )
    return runner.calibrate(request, progress())


@click.command()
@click.option(
    "--runs",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Simulated runs of 20 comparisons for each scenario.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def simulate(runs: int, seed: int, *, markdown: bool) -> None:
    """Check the intervals and verdicts on simulated runs whose answer is known.

    Each scenario spoils the pairs in a way that real machines do: correlated noise, processes that
    differ, drift, outliers, few passes, and stopping once intervals are narrow. The intervals
    should hold the truth in at least 93 % of the comparisons.
    """
    from rich.console import Console
    from rich.progress import track

    from bench.analysis.simulated_runs import SCENARIOS, simulate_fully
    from bench.report.calibration import simulated_runs_markdown, simulated_runs_table

    console = Console(stderr=True)
    chosen = track(
        SCENARIOS, "simulating", console=console, transient=True, disable=not console.is_terminal
    )
    scores = [simulate_fully(scenario, runs, seed) for scenario in chosen]
    if markdown:
        click.echo(simulated_runs_markdown(scores))
        return
    output().print(simulated_runs_table(scores))
