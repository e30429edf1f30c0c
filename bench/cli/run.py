"""``vitbench run``: measure the grid."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from bench.cli.options import (
    MeasuringOptions,
    delta_option,
    duration,
    max_error_option,
    names,
    no_lock_option,
    numbers,
    objective_option,
    settings_of,
    share,
    show_option,
)
from bench.cli.output import progress, show_run
from bench.records.comparison import ASKED_FACTORS, MODEL, USUAL_FACTORS, USUAL_PIXELS
from bench.records.errors import RunError

if TYPE_CHECKING:
    from bench.runs.state import RunState
    from bench.suite.grid import Selection


class RunOptions(MeasuringOptions):
    """Values of the options below; durations are in seconds."""

    quick: bool
    variants: tuple[str, ...]
    factors: tuple[str, ...]
    devices: tuple[str, ...] | None
    modes: tuple[str, ...] | None
    batch_sizes: tuple[int, ...] | None
    image_size: int
    component: str
    cache: str
    precision: float | None
    delta: float
    choose: bool
    objective: str
    max_error: float | None
    resume: Path | None
    show: tuple[str, ...] | None


@click.command()
@click.option(
    "--budget", type=duration, default="9.5m", show_default=True, help="Total time budget."
)
@click.option(
    "--quick",
    is_flag=True,
    help="B/16 forward, batch 1, one encoder block, 105 s; other options still apply.",
)
@click.option("--variants", type=names, default="B/16,L/16,H/14", show_default=True)
@click.option(
    "--factors",
    type=names,
    default=",".join(USUAL_FACTORS),
    show_default=True,
    help=f"On request also {' and '.join(ASKED_FACTORS)}.",
)
@click.option("--devices", type=names, help="cpu,cuda  [default: all on this machine]")
@click.option("--modes", type=names, help="forward,train  [default: forward; on cuda both]")
@click.option("--batch-sizes", type=numbers, help="E.g. 1,8  [default: those of each benchmark]")
@click.option(
    "--image-size", type=int, default=USUAL_PIXELS, show_default=True, help="In pixels, square."
)
@click.option(
    "--component",
    default="auto",
    show_default=True,
    help="Workload of compile and precision: the whole model, one encoder block, or auto (on a CPU "
    "the model only if a call takes at most 50 GFLOP).",
)
@click.option(
    "--cache",
    default=MODEL,
    show_default=True,
    help="State of a part's caches: that of the model, in whose calls it is then measured, or, "
    "measured alone, cold or warm.",
)
@click.option(
    "--passes",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Fresh processes that each measure everything; further ones follow where intervals are "
    "wide.",
)
@click.option(
    "--precision",
    type=share,
    help="Continue, within the budget, until every interval is within this of its speed-up, e.g. "
    "1%  [default: until what was not chosen could gain less than half of --delta]",
)
@delta_option
@click.option(
    "--case-timeout",
    type=duration,
    default="5m",
    show_default=True,
    help="Time limit of one comparison in one pass, compilation included.",
)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also survey each arm alone: memory, kernels, limits, top-1, energy (at most 6 % of "
    "the budget, a fifth if --objective needs it). What is the same in every run is kept in "
    "~/.cache/vitbench; the environment variable VITBENCH_CACHE=DIR keeps it elsewhere, =off "
    "nowhere.",
)
@click.option(
    "--choose/--no-choose",
    default=True,
    help="Also measure the combination that the verdicts recommend, against the default.",
)
@objective_option
@max_error_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="New folder  [default: results/<time>]"
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Finish the interrupted run in DIR by its own plan; no other option applies.",
)
@show_option
@no_lock_option
@click.pass_context
def run(context: click.Context, /, **options: Unpack[RunOptions]) -> None:
    """Measure every comparison in rounds of all arms, in several passes (fresh processes).

    Progress goes to standard error, a summary to standard output. The run's folder holds
    results.csv, environment.json, plots and the raw data of each pass.

    \b
    A verdict compares an arm with the factor's baseline on one workload:
      faster, slower    the 95 % interval of the speed-up excludes 1, also after
                        adjusting for the number of comparisons
      equivalent        the 90 % interval is within --delta of 1
      undecided         neither: more passes or a larger budget may decide
    """  # noqa: D301 (click wants the character itself)
    from bench.report.tables.costs import known_views

    # None: the usual tables.
    views = None if options["show"] is None else known_views(options["show"])
    folder = options["resume"]
    if folder is not None:
        _refuse_others(context)
        results = _resume(folder, lock=not options["no_lock"])
    else:
        results = _run(_quick(context, options) if options["quick"] else options)
    show_run(results, views)
    if not any(record.rounds for record in results.records):
        raise RunError("nothing was measured; see the reasons above")


def _quick(context: click.Context, options: RunOptions) -> RunOptions:
    """Return the options of a quick run: those of --quick, unless given."""
    quick = options.copy()
    if _is_default(context, "budget"):
        quick["budget"] = 105.0
    if _is_default(context, "variants"):
        quick["variants"] = ("B/16",)
    if _is_default(context, "modes"):
        quick["modes"] = ("forward",)
    if _is_default(context, "batch_sizes"):
        quick["batch_sizes"] = (1,)
    if _is_default(context, "component"):
        quick["component"] = "block"
    return quick


def _refuse_others(context: click.Context) -> None:
    """Raise UsageError for options that a resumed run would ignore."""
    others = [
        name
        for name in context.params
        if name not in ("resume", "no_lock", "show") and not _is_default(context, name)
    ]
    if others:
        name = others[0].replace("_", "-")
        raise click.UsageError(
            f"--{name} has no effect with --resume: the run's plan applies; leave it out"
        )


def _resume(folder: Path, *, lock: bool) -> "RunState":
    from bench.runs.run import resume

    return resume(folder, progress(), lock=lock)


def _run(options: RunOptions) -> "RunState":
    from bench.analysis.aim import Aim
    from bench.files.run_folder import new_run_id
    from bench.runs.run import RunRequest
    from bench.runs.run import run as run_all

    request = RunRequest(
        settings=settings_of(options, Path("results") / new_run_id(datetime.now(UTC))),
        selection=_selection(options),
        devices=options["devices"],
        precision=options["precision"],
        delta=options["delta"],
        choose=options["choose"],
        aim=Aim(objective=options["objective"], max_error=options["max_error"]),
    )
    return run_all(request, progress())


def _selection(options: RunOptions) -> "Selection":
    from bench.suite.grid import Selection

    return Selection(
        variants=options["variants"],
        factors=options["factors"],
        devices=("cpu",) if options["devices"] is None else options["devices"],
        modes=options["modes"],
        batch_sizes=options["batch_sizes"],
        image_size=options["image_size"],
        component=options["component"],
        cache=options["cache"],
    )


def _is_default(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT
