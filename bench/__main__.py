"""The command line: arguments and printing only. ``vitbench`` is ``python -m bench``."""

import shlex
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.options import duration, names, numbers, pixels
from bench.record import FACTORS, InputError, RunError

_QUICK = {
    "variants": ("B/16",),
    "modes": ("forward",),
    "batch_sizes": (1,),
    "component": "block",
    "budget": 105.0,
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="vitbench")
def cli() -> None:
    r"""Which patcher, attention, compile mode and precision for your Vision Transformer?

    \b
    vitbench run --quick            B/16 on this machine in under two minutes
    vitbench run                    B, L and H in about ten minutes
    vitbench report results/RUN     tables and plots of a run again
    vitbench shapes B/16            the shape after every step of the model
    vitbench summary B/16           layers, parameters and FLOPs
    """


@cli.command()
@click.option("--budget", type=duration, default="9m", show_default=True, help="Time for all.")
@click.option(
    "--quick",
    is_flag=True,
    help="B/16 forward, batch 1, one encoder block, 105 s; other options still count.",
)
@click.option("--variants", type=names, default="B/16,L/16,H/14", show_default=True)
@click.option("--factors", type=names, default=",".join(FACTORS), show_default=True)
@click.option("--devices", type=names, help="cpu,cuda  [default: all that are here]")
@click.option("--modes", type=names, help="forward,train  [default: forward; on cuda both]")
@click.option("--batch-sizes", type=numbers, help="Such as 1,8  [default: each benchmark's own]")
@click.option("--image-size", type=int, default=224, show_default=True, help="In pixels, square.")
@click.option(
    "--component",
    default="auto",
    show_default=True,
    help="What compile and precision are measured on: the whole model, one encoder block, or auto "
    "(on a CPU the model only where a call takes at most 50 GFLOP).",
)
@click.option(
    "--cache", default="cold", show_default=True, help="cold flushes the cache before each pair."
)
@click.option("--passes", type=click.IntRange(1), default=3, show_default=True, help="Processes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of comparisons.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="New folder  [default: results/<time>]"
)
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    r"""Measure every comparison in alternating pairs, in several passes (fresh processes).

    Progress goes to standard error, the verdict table to standard output. The run's folder holds
    results.csv, environment.json, plots and the raw data of each pass.

    \b
    A verdict compares an arm with the factor's baseline on one workload:
      faster, slower    the 95 % interval of the speed-up excludes 1
      equivalent        the interval is within 2 % of 1
      undecided         neither: more passes or a larger budget may tell
    """
    from rich.console import Console

    from bench.cases import Selection
    from bench.report.progress import RunProgress
    from bench.runner.plan import Request
    from bench.runner.run import run as run_all
    from bench.store import new_run_id

    if given.pop("quick"):
        given |= {k: v for k, v in _QUICK.items() if _is_default(context, k)}
    devices, out, budget = given.pop("devices"), given.pop("out"), given.pop("budget")
    request = Request(
        budget_s=budget,
        passes=given.pop("passes"),
        seed=given.pop("seed"),
        folder=out or Path("results") / new_run_id(datetime.now(UTC)),
        command=shlex.join(["vitbench", *sys.argv[1:]]),
        devices=devices,
        selection=replace(Selection(**given), devices=("cpu",) if devices is None else devices),
    )
    results = run_all(request, RunProgress(Console(stderr=True)))
    _show(results)
    if not any(record.rounds for record in results.records):
        raise RunError("nothing was measured; the reasons stand above")


def _is_default(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT


def _show(results: Any) -> None:
    """Print a run's tables and write its plots."""
    from rich.console import Console

    from bench.report.tables import provenance, share_line, summary

    # A table in a file or a pipe must not be cut to a terminal's width.
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(summary(results.records), share_line(results.measuring_share, results.measure_s))
    source = provenance(results.environment, results.plan.command, results.plan.started)
    click.echo(source)
    from bench.report.plots import write_plots

    paths = write_plots(results.folder / "plots", results.records, source)
    click.echo(f"Written: {results.folder}/results.csv and {len(paths)} plots beside it.")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown, nothing else.")
@click.option("--factors", type=names, default=",".join(FACTORS), help="Of the Markdown.")
def report(folder: Path, *, markdown: bool, factors: tuple[str, ...]) -> None:
    """Make results.csv, tables and plots of the run in FOLDER again from its journal."""
    from bench.report.tables import markdown as as_markdown
    from bench.report.tables import provenance
    from bench.runner.run import load
    from bench.store import write_csv

    results = load(folder)
    if markdown:
        click.echo(as_markdown([each for each in results.records if each.factor in factors]))
        plan = results.plan
        click.echo(provenance(results.environment, plan.command, plan.started))
        return
    write_csv(folder / "results.csv", results.records)
    _show(results)


_SIZE = click.IntRange(1, 10**6)
_MODEL_OPTIONS = (
    click.argument("variant"),
    click.option("--patcher", default="conv", show_default=True),
    click.option("--attention", default="sdpa", show_default=True),
    click.option("--head", default="linear", show_default=True),
    click.option("--classes", "num_classes", type=_SIZE, default=1000, show_default=True),
    click.option("--image-size", type=pixels, default="224", show_default=True),
    click.option("--channels", type=_SIZE, default=3, show_default=True),
    click.option("--heads", type=_SIZE, help="Attention heads  [default: the variant's]"),
    click.option("--batch-size", type=_SIZE, default=1, show_default=True),
)


def _model_options(command: Any) -> Any:
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def _config(variant: str, given: dict[str, Any]) -> Any:
    from vitcore.config import ViTConfig

    try:
        return ViTConfig.from_name(variant, **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise InputError(str(error)) from error


@cli.command()
@_model_options
@click.option("--depth", type=click.IntRange(1), default=3, show_default=True, help="Of the table.")
def summary(variant: str, batch_size: int, depth: int, **given: Any) -> None:
    """Print the layers of VARIANT (such as B/16), its parameters and its FLOPs."""
    config = _config(variant, given)
    from bench.anatomy import summary as summarise

    click.echo(summarise(config, batch_size, depth))


@cli.command()
@_model_options
def shapes(variant: str, batch_size: int, **given: Any) -> None:
    """Print the shape after every step of VARIANT's forward pass."""
    config = _config(variant, given)
    from bench.anatomy import shape_table, size_line
    from bench.anatomy import shapes as walk

    click.echo(shape_table(walk(config, batch_size)))
    click.echo(size_line(config))


def main() -> None:
    """Run the command line. What a user can mend is one line on standard error and exit code 2."""
    # What ends a run from outside (timeout, a CI that cancels) must stop its pass and keep rows.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(standalone_mode=False)
    except (click.ClickException, InputError, RunError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"vitbench: {text}", err=True)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"vitbench: {where}{error.strerror}; check permissions and space", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("vitbench: interrupted; what was measured is kept", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
