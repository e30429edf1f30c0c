"""``vitbench compare``: a user's own code against a baseline."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bench.cli.options import delta_option, duration, no_lock_option, show_option
from bench.cli.output import command_line, progress, show_verdicts, tell_job
from bench.records.comparison import CACHES, DEVICES, MODES
from bench.records.errors import InputError
from bench.records.row import Record
from bench.report.write import source_of


@click.command()
@click.argument("baseline")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True)
@click.option(
    "--input",
    "shape",
    metavar="SHAPE",
    help="Random input of this shape, such as 1,197,768; several with ; between them  "
    "[default: what a part of vitcore takes]",
)
@click.option("--inputs", metavar="FILE.py:FUNCTION", help="A function that makes the inputs.")
@click.option(
    "--dtype",
    help="Of inputs and weights, such as bfloat16  [default: each module's own]",
)
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="forward", show_default=True)
@click.option(
    "--budget",
    type=duration,
    default="20s",
    show_default=True,
    help="Time to measure each candidate; starting, building and the control come on top.",
)
@click.option(
    "--passes", type=click.IntRange(1), default=5, show_default=True, help="Fresh processes."
)
@click.option(
    "--cache",
    type=click.Choice(CACHES),
    default="cold",
    show_default=True,
    help="cold flushes the cache before each pair, as a larger model would.",
)
@delta_option
@click.option(
    "--allow-different",
    is_flag=True,
    help="Judge a candidate whose outputs differ from the baseline's too.",
)
@click.option("--case-timeout", type=duration, default="5m", show_default=True)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also look at each arm alone: memory, FLOPs, kernels, energy.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of candidates.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each candidate.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the files in a new folder.")
@show_option
@no_lock_option
def compare(**given: Any) -> None:
    """Compare each CANDIDATE with BASELINE: speed, with an interval, a verdict and the error.

    \b
    An arm is one of
      path/to/file.py:factory     a function without arguments that returns
      package.module:factory      an nn.Module or any callable
      vitcore:attention=sdpa      a part of vitcore; also patcher, component,
                                  variant, head, image_size, compile, precision,
                                  kernel, layout, checkpoint, optimizer

    Both arms get equal inputs and, where their parameters have the same names and shapes, equal
    weights. Each is called in alternating pairs, in several fresh processes; the baseline is also
    compared with a copy of itself, as a control. A candidate whose outputs differ by more than its
    precision explains is `wrong` and gets no verdict.

    \b
    vitbench compare vitcore:attention=mha vitcore:attention=sdpa
    vitbench compare mine.py:old mine.py:new --input 8,197,768
    vitbench compare mine.py:old mine.py:new --inputs mine.py:make_inputs --mode train

    The exit code is 0 where every candidate was measured, 1 where one failed (its status says how),
    2 where no candidate could be made.
    """  # noqa: D301 (click wants the character itself)
    from bench.report.export import as_markdown
    from bench.report.tables.costs import known_views
    from bench.report.write import write_drawings

    as_json, views = given.pop("as_json"), known_views(given.pop("show"))
    folder = given["out"]
    results = _measure(given)
    candidates = [record for record in results.records if not record.is_control]
    if as_json:
        _print_json(results, candidates)
    else:
        show_verdicts(results, views)
        click.echo(source_of(results))
        tell_job(as_markdown(results.report_data(results.aim)))
    if folder is not None:
        count = write_drawings(results, results.aim)
        told = f"{folder}/report.html, results.csv and {count} plots beside it"
        click.echo(f"Written: {told}.", err=as_json)
    if any(record.status not in ("ok", "wrong") for record in results.records):
        text = "what the arms printed, and where they failed"
        click.echo(f"{text}: {results.folder}/passes/*.log", err=True)
    _end(candidates)


def _measure(given: dict[str, Any]) -> Any:
    from bench.runs.compare import CompareRequest
    from bench.runs.compare import compare as run_compare
    from bench.usercode.spec import inputs_for, precision_of, read_arm

    folder, shape = given.pop("out"), given.pop("shape")
    if shape is not None and given["inputs"] is not None:
        raise click.UsageError("--input and --inputs are mutually exclusive; give one of them")
    arms = tuple(map(read_arm, (given.pop("baseline"), *given.pop("candidates"))))
    inputs = given.pop("inputs")
    request = CompareRequest(
        arms=arms,
        inputs=inputs_for(inputs if shape is None else shape, arms),
        precision=precision_of(given.pop("dtype")),
        budget_s=given.pop("budget"),
        case_timeout_s=given.pop("case_timeout"),
        lock=not given.pop("no_lock"),
        folder=folder,
        command=command_line(),
        **given,
    )
    return run_compare(request, progress())


def _print_json(results: Any, candidates: list[Record]) -> None:
    (controls,) = results.analysis.controls.values()
    for record in candidates:
        click.echo(json.dumps({**asdict(record), "controls": asdict(controls)}))


def _end(candidates: list[Record]) -> None:
    """Leave with the exit code that the candidates' statuses ask for."""
    failed = [record for record in candidates if record.status != "ok"]
    if len(failed) == len(candidates) and all(each.status == "skipped" for each in failed):
        raise InputError(str(failed[0].error))
    if failed:
        click.get_current_context().exit(1)
