"""``vitbench memory``: what a model takes of memory, predicted on any machine."""

import json
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from bench.cli.options import duration, no_lock_option, pixels, size
from bench.cli.output import command_line, output
from bench.records.comparison import DEVICES, FACTORS, MODES

_COUNT = click.IntRange(1, 10**6)


@click.command()
@click.argument("variants", nargs=-1, required=True, metavar="VARIANT...")
@click.option("--mode", type=click.Choice(MODES), default="train", show_default=True)
@click.option("--batch-size", type=_COUNT, default=32, show_default=True)
@click.option("--precision", default="fp32", show_default=True)
@click.option("--patcher", default="conv", show_default=True)
@click.option("--attention", default="sdpa", show_default=True)
@click.option("--optimizer", default="adamw", show_default=True)
@click.option("--checkpoint", default="none", show_default=True, help="blocks: compute again.")
@click.option("--image-size", type=pixels, default="224", show_default=True)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cuda",
    show_default=True,
    help="Predict for it; it need not be here.",
)
@click.option("--measure/--no-measure", default=True, help="Measure too, where the device is here.")
@click.option(
    "--max-batch",
    is_flag=True,
    help="The largest batch size that fits: predicted and, where the device is here, found.",
)
@click.option(
    "--limit",
    type=size,
    metavar="SIZE",
    help="Memory for --max-batch, such as 24GiB  [default: what is free on the device]",
)
@click.option(
    "--by",
    type=click.Choice(("kind", "component")),
    default="kind",
    show_default=True,
    help="component: also what belongs to patcher, attention, MLP and so on.",
)
@click.option(
    "--case-timeout",
    type=duration,
    default="10m",
    show_default=True,
    help="Time limit of one measurement.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each case.")
@no_lock_option
def memory(**given: Any) -> None:
    """Predict the memory of VARIANTs (such as B/16) at its peak, by what it is for.

    The prediction runs the very step that would be measured on shapes alone, so it needs neither
    the device nor the memory. Where the device is here and has room, each case is also measured in
    a process of its own, and the error of the prediction is shown. Exit code 1: a measurement
    failed; its status and a note give the reason.

    \b
    vitbench memory B/16 L/16 H/14 --mode train --batch-size 32 --precision amp_bf16
    vitbench memory B/16 --attention manual --max-batch --limit 24GiB
    vitbench memory B/16 L/16 H/14 --device cpu --batch-size 1
    """  # noqa: D301 (click wants the character itself)
    from bench.runs.memory import memory_reports

    as_json, by = given.pop("as_json"), given.pop("by")
    request = _request(given)
    found: list[Any] = []
    try:
        for each in memory_reports(request, partial(click.echo, err=True)):
            found.append(each)
            if as_json:
                click.echo(json.dumps({**asdict(each), "error": each.error}))
    finally:
        # What was told before an interrupt, or before the one that cannot be, is not lost.
        if found and not as_json:
            _print(found, by)
    if any(_failed(each) for each in found):
        click.get_current_context().exit(1)


def _failed(footprint: Any) -> bool:
    """Return whether a measurement failed; a batch that was too large led to one that fits."""
    measured = footprint.measured
    return measured and measured.status != "ok" and footprint.largest_batch is None


def _print(found: list[Any], by: str) -> None:
    from bench.report.tables.memory import component_table, memory_table, notes

    output().print(memory_table(found))
    for each in found if by == "component" else ():
        output().print(component_table(each))
    for note in notes(found):
        click.echo(note)


def _request(given: dict[str, Any]) -> Any:
    """What was asked for. Raises UsageError for options that contradict each other."""
    from bench.records.comparison import Arm
    from bench.runs.memory import MemoryRequest

    limit, wanted = given.pop("limit"), given.pop("max_batch")
    if limit is not None and not wanted:
        raise click.UsageError("--limit says nothing without --max-batch; give both or neither")
    levels = {name: given.pop(name) for name in FACTORS if name in given}
    if wanted and limit is None:
        limit = _free(given["device"])
    given["case_timeout_s"], given["lock"] = given.pop("case_timeout"), not given.pop("no_lock")
    return MemoryRequest(arm=Arm(**levels), limit_bytes=limit, command=command_line(), **given)


def _free(device: str) -> int:
    """What is free on a device. Raises UsageError where it is not here."""
    from bench.machine.host import room_bytes

    free = room_bytes(device)
    if free is None:
        raise click.UsageError(f"no {device} here to fit into; give --limit, such as 24GiB")
    return free
