"""``vitbench compare``: a user's own code against a baseline."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from bench.cli.options import (
    MeasuringOptions,
    delta_option,
    duration,
    no_lock_option,
    one_input,
    settings_of,
    show_option,
    weights_option,
)
from bench.cli.output import append_job_summary, progress, show_logs, show_verdicts
from bench.records.comparison import ALONE_CACHES, DEVICES, MODES
from bench.records.errors import InputError
from bench.records.row import Record
from bench.report.write import source_of

if TYPE_CHECKING:
    from bench.runs.state import RunState


class CompareOptions(MeasuringOptions):
    """Values of the arguments and options below; durations are in seconds."""

    baseline: str
    candidates: tuple[str, ...]
    shape: str | None
    inputs: str | None
    dtype: str | None
    device: str
    mode: str
    cache: str
    delta: float
    allow_different: bool
    weights: str
    as_json: bool
    show: tuple[str, ...] | None


@click.command()
@click.argument("baseline")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True)
@click.option(
    "--input",
    "shape",
    metavar="SHAPE",
    help="Shape of a random input, e.g. 1,197,768; several are separated by ;  "
    "[default: the input of the vitcore part]",
)
@click.option("--inputs", metavar="FILE.py:FUNCTION", help="A function that returns the inputs.")
@click.option(
    "--dtype",
    help="Type of inputs and weights, e.g. bfloat16  [default: as each module is]",
)
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="forward", show_default=True)
@click.option(
    "--budget",
    type=duration,
    default="20s",
    show_default=True,
    help="Time to measure each candidate; starting, building and the control take extra time.",
)
@click.option(
    "--passes", type=click.IntRange(1), default=5, show_default=True, help="Fresh processes."
)
@click.option(
    "--cache",
    type=click.Choice(ALONE_CACHES),
    default="cold",
    show_default=True,
    help="Weights in the caches at a call: cold, as the rest of a model would leave them, or warm.",
)
@delta_option
@click.option(
    "--allow-different",
    is_flag=True,
    help="Also judge a candidate whose outputs differ from the baseline's.",
)
@weights_option
@click.option("--case-timeout", type=duration, default="5m", show_default=True)
@click.option(
    "--survey/--no-survey",
    default=True,
    help="Also survey each arm alone: memory, FLOPs, kernels, energy.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per candidate.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the files  [default: they are removed]",
)
@show_option
@no_lock_option
def compare(**options: Unpack[CompareOptions]) -> None:
    """Compare each CANDIDATE with BASELINE: speed, with an interval, a verdict and the error.

    \b
    An arm is one of
      path/to/file.py:factory     a function without arguments that returns
      package.module:factory      an nn.Module or any callable
      vitcore:attention=sdpa      a part of vitcore; also patcher, component,
                                  variant, head, image_size, compile, precision,
                                  kernel, layout, checkpoint, optimizer

    Both arms get equal inputs. Where their outputs differ as they were made, the candidate gets the
    baseline's weights if it agrees then (--weights). The arms take turns call by call, in several
    fresh processes; a copy of the baseline takes part as a control. A candidate whose outputs
    differ by more than its precision explains is `wrong` and gets no verdict.

    \b
    vitbench compare vitcore:attention=mha vitcore:attention=sdpa
    vitbench compare mine.py:old mine.py:new --input 8,197,768
    vitbench compare mine.py:old mine.py:new --inputs mine.py:make_inputs --mode train

    The exit code is 0 if every candidate was measured, 1 if one failed (its status says how), 2 if
    no candidate could be built.
    """  # noqa: D301 (click wants the character itself)
    from bench.report.export import as_markdown
    from bench.report.tables.costs import known_views
    from bench.report.write import write_drawings

    as_json, folder, views = options["as_json"], options["out"], known_views(options["show"])
    results = _measure(options)
    candidates = [record for record in results.records if not record.is_control]
    if as_json:
        _print_json(results, candidates)
    else:
        show_verdicts(results, views)
        click.echo(source_of(results))
        append_job_summary(as_markdown(results.report_data(results.aim)))
    if folder is not None:
        count = write_drawings(results, results.aim)
        click.echo(f"Written: {folder}/report.html, results.csv, {count} plots.", err=as_json)
    if any(record.status not in ("ok", "wrong") for record in results.records):
        show_logs(results.folder)
    _end(candidates)


def _measure(options: CompareOptions) -> "RunState":
    from bench.runs.compare import CompareRequest
    from bench.runs.compare import compare as run_compare
    from bench.runs.repositories import refusal
    from bench.usercode.spec import inputs_for, precision_of, read_arm

    if reason := refusal(Path.cwd()):
        click.echo(f"the arms' commit is not recorded; git says: {reason}", err=True)
    inputs = one_input(options["shape"], options["inputs"])
    arms = tuple(map(read_arm, (options["baseline"], *options["candidates"])))
    request = CompareRequest(
        arms=arms,
        inputs=inputs_for(inputs, arms),
        precision=precision_of(options["dtype"]),
        device=options["device"],
        mode=options["mode"],
        cache=options["cache"],
        delta=options["delta"],
        allow_different=options["allow_different"],
        weights=options["weights"],
        settings=settings_of(options),
    )
    return run_compare(request, progress())


def _print_json(results: "RunState", candidates: list[Record]) -> None:
    (controls,) = results.analysis.controls.values()
    for record in candidates:
        click.echo(json.dumps({**asdict(record), "controls": asdict(controls)}))


def _end(candidates: list[Record]) -> None:
    """Exit with the code that the candidates' statuses imply."""
    failed = [record for record in candidates if record.status != "ok"]
    if len(failed) == len(candidates) and all(each.status == "skipped" for each in failed):
        raise InputError(str(failed[0].error))
    if failed:
        click.get_current_context().exit(1)
