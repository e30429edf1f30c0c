"""``vitbench regress``: a gate for pull requests."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from bench.cli.options import (
    MeasuringOptions,
    duration,
    error_bound,
    names,
    no_lock_option,
    one_input,
    settings_of,
    tolerance,
    weights_option,
)
from bench.cli.output import append_job_summary, progress, show_logs
from bench.records.comparison import DEVICES, MODES
from bench.records.errors import InputError
from bench.report.write import source_of

if TYPE_CHECKING:
    from bench.analysis.gate import Check, Thresholds
    from bench.runs.regress import GateResult
    from bench.runs.targets import Target

# Exit code of each outcome of the gate.
_EXITS = {"ok": 0, "new": 0, "worse": 1, "unknown": 2, "undecided": 3}

_GROWTH: Any = {"type": tolerance, "show_default": True}


class RegressOptions(MeasuringOptions):
    """Values of the options below; durations are in seconds."""

    base: str
    targets: tuple[str, ...] | None
    own: tuple[str, ...]
    at_base: tuple[str, ...]
    copied: tuple[Path, ...]
    variant: str
    shape: str | None
    inputs: str | None
    dtype: str | None
    device: str
    mode: str
    threshold: float
    memory: float
    flops: float
    parameters: float
    compile_time: float
    max_error: float | None
    undecided: str
    allow_different: bool
    weights: str
    as_json: bool


@click.command()
@click.option(
    "--base", required=True, metavar="REV", help="Base revision: a branch, tag or commit."
)
@click.option(
    "--targets",
    type=names,
    help="Parts of vitcore: patcher,attention,block,compile,model  [default: "
    "patcher,attention,block; none with --target]",
)
@click.option(
    "--target",
    "own",
    multiple=True,
    metavar="ARM",
    help="Your own arm: package.module:factory or FILE.py:factory; may be repeated.",
)
@click.option(
    "--base-target",
    "at_base",
    multiple=True,
    metavar="ARM",
    help="--target's name at REV, where it is another; one for each, in the same order.",
)
@click.option(
    "--copy",
    "copied",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file or folder that git ignores, for REV to have, too; may be repeated.",
)
@click.option(
    "--variant", default="B/16", show_default=True, help="Variant of the parts of vitcore."
)
@click.option(
    "--input", "shape", metavar="SHAPE", help="Shape of --target's random input, e.g. 1,197,768."
)
@click.option("--inputs", metavar="FILE.py:FUNCTION", help="A function that returns the inputs.")
@click.option("--dtype", help="Type of inputs and weights  [default: as each module is]")
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="forward", show_default=True)
@click.option("--threshold", **_GROWTH, default="3%", help="Allowed growth of a target's time.")
@click.option("--memory", **_GROWTH, default="1%", help="Allowed growth of its peak memory.")
@click.option("--flops", **_GROWTH, default="0.1%", help="Allowed growth of its operations.")
@click.option("--parameters", **_GROWTH, default="0%", help="Allowed growth of its parameters.")
@click.option(
    "--compile-time",
    **_GROWTH,
    default="50%",
    help="Allowed growth of its first compiled call's time.",
)
@click.option(
    "--max-error",
    type=error_bound,
    help="Allowed difference of outputs from the base's, as a relative norm  [default: the "
    "tolerance of the target's precision]",
)
@click.option("--budget", type=duration, default="5m", show_default=True, help="Total time budget.")
@click.option(
    "--passes",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Minimum number of passes.",
)
@click.option(
    "--undecided",
    type=click.Choice(("fail", "ok")),
    default="fail",
    show_default=True,
    help="ok: exit with 0 if an interval includes its threshold.",
)
@click.option("--allow-different", is_flag=True, help="Accept outputs that differ from the base's.")
@weights_option
@click.option("--case-timeout", type=duration, default="5m", show_default=True)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also survey each target alone; without it memory, FLOPs and parameters are not gated.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per check.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the files  [default: they are removed]",
)
@no_lock_option
def regress(**options: Unpack[RegressOptions]) -> None:
    """Is this tree slower than REV? Both take turns, call by call, in one process.

    The revision is checked out beside this tree, which is measured as it is, uncommitted changes
    included. Each target is loaded from both and measured in several fresh processes; further
    passes go to undecided targets while --budget lasts. Prints Markdown for a pull request.

    Your own package: modules of the repository that REV's target imports are REV's own. Modules
    that its calls import later, while they are timed, are this tree's, unless by a relative import;
    compiled extensions are not built for REV. A target that was moved since REV is compared with
    where it was (as git's renames say, or --base-target); one that REV lacks is new and passes.

    \b
    vitbench regress --base origin/main
    vitbench regress --base v1.2 --targets attention --threshold 2%
    vitbench regress --base main --target mypackage.layers:make_attention --input 8,197,768

    \b
    Exit code  0  no target exceeds a threshold, or REV has none of the targets
               1  at least one does, with its whole interval
               2  something could not be measured
               3  undecided; the output has an estimate of the time to a decision
    """  # noqa: D301 (click wants the character itself)
    from bench.analysis.gate import worst_outcome
    from bench.report.tables.gate import gate_markdown

    gated = _measure(options)
    text = gate_markdown(gated.checks, gated.base, survey=options["survey"], moved=gated.moved)
    if gated.results:
        text = f"{text}\n\n{source_of(gated.results)}"
    append_job_summary(text)
    if options["as_json"]:
        _print_json(gated.checks)
    else:
        click.echo(text)
    folder = gated.results.folder if gated.results else None
    if folder and folder.exists() and any(each.outcome == "unknown" for each in gated.checks):
        show_logs(folder)
    code = _EXITS[worst_outcome(gated.checks)]
    if code == _EXITS["undecided"] and options["undecided"] == "ok":
        code = 0
    click.get_current_context().exit(code)


def _print_json(checks: "list[Check]") -> None:
    for check in checks:
        # JSON has no infinity: growth from nothing has no relative size.
        cells = {k: None if v in (math.inf, -math.inf) else v for k, v in asdict(check).items()}
        click.echo(json.dumps(cells, allow_nan=False))


def _measure(options: RegressOptions) -> "GateResult":
    from bench.runs.regress import RegressRequest
    from bench.runs.regress import regress as run_regress
    from bench.runs.repositories import remark_on
    from bench.usercode.spec import precision_of

    if remark := remark_on(Path.cwd(), options["base"]):
        click.echo(f"git, on {options['base']!r}: {remark}", err=True)
    request = RegressRequest(
        base=options["base"],
        targets=_targets(options),
        precision=precision_of(options["dtype"]),
        device=options["device"],
        mode=options["mode"],
        thresholds=_thresholds(options),
        allow_different=options["allow_different"],
        weights=options["weights"],
        settings=settings_of(options),
        copied=options["copied"],
    )
    return run_regress(request, progress())


def _targets(options: RegressOptions) -> "tuple[Target, ...]":
    """Return what to compare. Raises InputError for inputs without a target that takes them."""
    from bench.runs.targets import USUAL_TARGETS, named_targets, paired, read_targets

    own, inputs = options["own"], one_input(options["shape"], options["inputs"])
    if inputs and not own:
        raise InputError(
            "--input is only for --target; the inputs of vitcore's parts follow from --variant"
        )
    chosen = options["targets"]
    if chosen is None:
        chosen = () if own else USUAL_TARGETS
    names = (*named_targets(chosen, options["variant"]), *own)
    return read_targets(names, inputs, paired(own, options["at_base"]))


def _thresholds(options: RegressOptions) -> "Thresholds":
    from bench.analysis.gate import Thresholds

    return Thresholds(
        latency=options["threshold"],
        memory=options["memory"],
        flops=options["flops"],
        parameters=options["parameters"],
        compile_time=options["compile_time"],
        numeric_error=options["max_error"],
    )
