"""``vitbench calibrate`` and ``vitbench simulate``: how often verdicts and intervals are wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.options import duration, no_lock_option
from bench.cli.output import command_line, output, progress
from bench.records.comparison import DEVICES
from bench.report.write import source_of

if TYPE_CHECKING:
    from bench.runs.calibrate import Calibration


class CalibrateOptions(TypedDict):
    """Values of the options of ``vitbench calibrate``; durations are in seconds."""

    budget: float
    passes: int
    device: str
    seed: int
    out: Path | None
    again: Path | None
    no_lock: bool


@click.command()
@click.option(
    "--budget",
    type=duration,
    default="10m",
    show_default=True,
    help="Total time budget; more time measures more workloads (25m: over a hundred placebos).",
)
@click.option(
    "--passes", type=click.IntRange(2), default=3, show_default=True, help="Fresh processes."
)
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder  [default: results/calibration-<time>]",
)
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Measure nothing; score the calibration in DIR again.",
)
@no_lock_option
def calibrate(**options: Unpack[CalibrateOptions]) -> None:
    """Measure how often verdicts are wrong on this machine.

    Measures arms of known cost like the candidates of vitbench run: inside a model, in as few
    rounds. Placebos do the same work in other code, slower arms 5 % more products than an
    attention; copies of the baseline are controls. Counts this suite's verdicts, and on the same
    samples those of medians of one arm after the other, and of pytest-benchmark's compare. Prints a
    table and a sentence; writes calibration.csv and a plot. Continue an interrupted calibration
    with vitbench run --resume DIR, then --again DIR.
    """
    from bench.files.results_csv import write_rates
    from bench.report.calibration import calibration_figure, rates_table, sentence
    from bench.report.plots.canvas import save

    found = _calibration(options)
    folder = found.results.folder
    output().print(rates_table(found.rates))
    click.echo(sentence(found.rates))
    source = source_of(found.results)
    click.echo(source)
    write_rates(folder / "calibration.csv", found.rates)
    paths = save(folder / "plots", "calibration", calibration_figure(found.rates, source))
    click.echo(f"Written: {folder}/calibration.csv and {paths[0]}")


def _calibration(options: CalibrateOptions) -> "Calibration":
    from bench.files.run_folder import new_run_id
    from bench.runs import calibrate as calibration
    from bench.runs.settings import RunSettings

    if options["again"] is not None:
        return calibration.read(options["again"])
    name = f"calibration-{new_run_id(datetime.now(UTC))}"
    settings = RunSettings(
        budget_s=options["budget"],
        passes=options["passes"],
        seed=options["seed"],
        command=command_line(),
        folder=options["out"] or Path("results") / name,
        lock=not options["no_lock"],
    )
    return calibration.calibrate(settings, options["device"], progress())


@click.command()
@click.option(
    "--runs",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Simulated runs of 20 comparisons per scenario.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def simulate(runs: int, seed: int, *, markdown: bool) -> None:
    """Check intervals and verdicts on simulated runs whose true speed-ups are known.

    Each scenario has a disturbance of real machines: correlated noise, differing processes, drift,
    outliers, few passes, or stopping once intervals are narrow. The intervals should contain the
    truth in at least 93 % of the comparisons.
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
