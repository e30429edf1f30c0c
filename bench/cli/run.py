"""``vitbench run``: measure the grid."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.cli.options import (
    aim_of,
    delta_option,
    duration,
    max_error_option,
    names,
    no_lock_option,
    numbers,
    objective_option,
    share,
    show_option,
)
from bench.cli.output import command_line, progress, show_run
from bench.records.comparison import ASKED_FACTORS, USUAL_FACTORS
from bench.records.errors import RunError

_PASSED = ("passes", "precision", "delta", "seed", "survey", "choose")
_QUICK = {
    "variants": ("B/16",),
    "modes": ("forward",),
    "batch_sizes": (1,),
    "component": "block",
    "budget": 105.0,
}


@click.command()
@click.option("--budget", type=duration, default="9.5m", show_default=True, help="Time for all.")
@click.option(
    "--quick",
    is_flag=True,
    help="B/16 forward, batch 1, one encoder block, 105 s; other options still count.",
)
@click.option("--variants", type=names, default="B/16,L/16,H/14", show_default=True)
@click.option(
    "--factors",
    type=names,
    default=",".join(USUAL_FACTORS),
    show_default=True,
    help=f"Where asked for, also {' and '.join(ASKED_FACTORS)}.",
)
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
@click.option(
    "--passes",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Fresh processes that each measure everything; further ones go where intervals are wide.",
)
@click.option(
    "--precision",
    type=share,
    default="1%",
    show_default=True,
    help="Go on, while the budget lasts, until every interval is as narrow as this either way.",
)
@delta_option
@click.option(
    "--case-timeout",
    type=duration,
    default="5m",
    show_default=True,
    help="What one comparison may take in one pass, compiling included.",
)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also look at each arm alone: memory, kernels, limits, top-1, energy (a fifth of the "
    "budget at most).",
)
@click.option(
    "--choose/--no-choose",
    default=True,
    help="Also measure what the verdicts let choose, as a whole, against the plain arm.",
)
@objective_option
@max_error_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of comparisons.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="New folder  [default: results/<time>]"
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Finish the run in DIR as it was asked for, however it was ended; no other option counts.",
)
@show_option
@no_lock_option
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Measure every comparison in alternating pairs, in several passes (fresh processes).

    Progress goes to standard error, the verdict table to standard output. The run's folder holds
    results.csv, environment.json, plots and the raw data of each pass.

    \b
    A verdict compares an arm with the factor's baseline on one workload:
      faster, slower    the 95 % interval of the speed-up excludes 1, also after
                        adjusting for the number of comparisons
      equivalent        the interval is within --delta of 1
      undecided         neither: more passes or a larger budget may tell
    """  # noqa: D301 (click wants the character itself)
    from bench.report.tables.costs import known_views

    resumed, views = given.pop("resume"), known_views(given.pop("show"))
    if resumed is not None:
        _refuse_others(context)
        results = _resume(resumed, lock=not given["no_lock"])
    else:
        if given.pop("quick"):
            given |= {k: v for k, v in _QUICK.items() if _is_default(context, k)}
        results = _run(given)
    show_run(results, views)
    if not any(record.rounds for record in results.records):
        raise RunError("nothing was measured; the reasons stand above")


def _refuse_others(context: click.Context) -> None:
    """Raise UsageError for options that a resumed run would not heed."""
    others = [
        n
        for n in context.params
        if n not in ("resume", "no_lock", "show") and not _is_default(context, n)
    ]
    if others:
        name = others[0].replace("_", "-")
        raise click.UsageError(f"--{name} says nothing with --resume: the run's own plan counts")


def _resume(folder: Path, *, lock: bool) -> Any:
    from bench.runs.run import resume

    return resume(folder, progress(), lock=lock)


def _run(given: dict[str, Any]) -> Any:
    from bench.files.run_folder import new_run_id
    from bench.runs.checks import Request
    from bench.runs.run import run as run_all
    from bench.suite.grid import Selection

    devices, out = given.pop("devices"), given.pop("out")
    request = Request(
        budget_s=given.pop("budget"),
        folder=out or Path("results") / new_run_id(datetime.now(UTC)),
        command=command_line(),
        devices=devices,
        lock=not given.pop("no_lock"),
        case_timeout_s=given.pop("case_timeout"),
        aim=aim_of(given),
        **{name: given.pop(name) for name in _PASSED},
        selection=replace(Selection(**given), devices=("cpu",) if devices is None else devices),
    )
    return run_all(request, progress())


def _is_default(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT
