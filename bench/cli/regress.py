"""``vitbench regress``: a gate for pull requests."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bench.cli.options import duration, error_bound, names, no_lock_option, tolerance
from bench.cli.output import command_line, progress, tell_job
from bench.records.comparison import DEVICES, MODES
from bench.records.errors import InputError
from bench.report.write import source_of

# How the gate's answer leaves the process.
_EXITS = {"ok": 0, "new": 0, "worse": 1, "unknown": 2, "undecided": 3}


_GROWTH: Any = {"type": tolerance, "show_default": True}


@click.command()
@click.option(
    "--base", required=True, metavar="REV", help="A branch, tag or commit, as git has it."
)
@click.option(
    "--targets",
    type=names,
    help="Of vitcore: patcher,attention,block,compile,model  [default: patcher,attention,block; "
    "none beside --target]",
)
@click.option(
    "--target",
    "own",
    multiple=True,
    metavar="ARM",
    help="Your own: package.module:factory or FILE.py:factory; may be given several times.",
)
@click.option("--variant", default="B/16", show_default=True, help="Of the parts of vitcore.")
@click.option("--input", "shape", metavar="SHAPE", help="Random input of --target: 1,197,768.")
@click.option("--inputs", metavar="FILE.py:FUNCTION", help="A function that makes them.")
@click.option("--dtype", help="Of inputs and weights  [default: each module's own]")
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="forward", show_default=True)
@click.option("--threshold", **_GROWTH, default="3%", help="How much slower a target may be.")
@click.option(
    "--memory", **_GROWTH, default="1%", help="How much more memory it may take at its peak."
)
@click.option("--flops", **_GROWTH, default="0.1%", help="How many more operations it may take.")
@click.option("--parameters", **_GROWTH, default="0%", help="How many more parameters it may have.")
@click.option(
    "--compile-time",
    **_GROWTH,
    default="50%",
    help="How much longer its first compiled call may take.",
)
@click.option(
    "--max-error",
    type=error_bound,
    help="How far outputs may be from the base's, as a relative norm  [default: what the "
    "target's precision explains]",
)
@click.option("--budget", type=duration, default="5m", show_default=True, help="Time for all.")
@click.option(
    "--passes", type=click.IntRange(1), default=3, show_default=True, help="At least so many."
)
@click.option(
    "--undecided",
    type=click.Choice(("fail", "ok")),
    default="fail",
    show_default=True,
    help="ok: exit with 0 where the interval reaches over the threshold.",
)
@click.option("--allow-different", is_flag=True, help="Outputs may differ from the base's.")
@click.option("--case-timeout", type=duration, default="5m", show_default=True)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also look at each target alone; without it memory, FLOPs and parameters are not gated.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each check.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the files in a new folder.")
@no_lock_option
def regress(**given: Any) -> None:
    """Is this tree slower than REV? Both are measured in alternating pairs, in one process.

    The revision is checked out beside this tree, which is taken as it is, with what is not
    committed. Each target is loaded from both and measured in several fresh processes; further ones
    go to what is undecided while --budget lasts. Prints Markdown for a pull request.

    Of your own package: whatever of the repository a target imports is REV's own. What its calls
    import later, while they are timed, is this tree's, unless by a relative import; extensions that
    must be compiled are not built for REV. What REV does not have yet is new, and stops nothing.

    \b
    vitbench regress --base origin/main
    vitbench regress --base v1.2 --targets attention --threshold 2%
    vitbench regress --base main --target mypackage.layers:make_attention --input 8,197,768

    \b
    Exit code  0  no target is worse than its thresholds allow, or REV has none of them
               1  at least one is, with all of its interval
               2  something could not be measured
               3  undecided; how long deciding would take is told
    """  # noqa: D301 (click wants the character itself)
    from bench.analysis.gate import outcome
    from bench.report.tables.gate import gate_markdown

    as_json, undecided, survey = given.pop("as_json"), given.pop("undecided"), given["survey"]
    gated = _measure(given)
    text = gate_markdown(gated.checks, gated.base, survey=survey)
    if gated.results:
        text = f"{text}\n\n{source_of(gated.results)}"
    tell_job(text)
    if as_json:
        for check in gated.checks:
            # JSON knows no infinity: what grew out of nothing has no share of it.
            told = {k: None if v in (math.inf, -math.inf) else v for k, v in asdict(check).items()}
            click.echo(json.dumps(told, allow_nan=False))
    else:
        click.echo(text)
    code = _EXITS[outcome(gated.checks)]
    is_kept = gated.results and gated.results.folder.exists()
    if is_kept and any(check.outcome == "unknown" for check in gated.checks):
        click.echo(f"what failed, and where: {gated.results.folder}/passes/*.log", err=True)
    if code == _EXITS["undecided"] and undecided == "ok":
        code = 0
    click.get_current_context().exit(code)


def _measure(given: dict[str, Any]) -> Any:
    from bench.analysis.gate import Thresholds
    from bench.runs.regress import RegressRequest
    from bench.runs.regress import regress as run_regress
    from bench.runs.targets import USUAL_TARGETS, named_targets, read_targets
    from bench.usercode.spec import precision_of

    own, shape, inputs = given.pop("own"), given.pop("shape"), given.pop("inputs")
    if shape is not None and inputs is not None:
        raise click.UsageError("--input and --inputs are mutually exclusive; give one of them")
    chosen, variant = given.pop("targets"), given.pop("variant")
    if chosen is None:
        chosen = () if own else USUAL_TARGETS
    if (shape or inputs) and not own:
        raise InputError(
            "--input is only for --target; the inputs of vitcore's parts follow from --variant"
        )
    limits = ("memory", "flops", "parameters", "compile_time")
    thresholds = Thresholds(
        latency=given.pop("threshold"),
        numeric_error=given.pop("max_error"),
        **{name: given.pop(name) for name in limits},
    )
    request = RegressRequest(
        targets=read_targets(
            (*named_targets(chosen, variant), *own), inputs if shape is None else shape
        ),
        precision=precision_of(given.pop("dtype")),
        thresholds=thresholds,
        budget_s=given.pop("budget"),
        case_timeout_s=given.pop("case_timeout"),
        folder=given.pop("out"),
        lock=not given.pop("no_lock"),
        command=command_line(),
        **given,
    )
    return run_regress(request, progress())
