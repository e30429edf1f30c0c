"""``vitbench memory``: peak memory of a model, predicted on any machine and measured here."""

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import click

from bench.cli.options import duration, no_lock_option, pixels, size
from bench.cli.output import command_line, output
from bench.records.comparison import DEFAULT_ARM, DEVICES, FACTORS, MODES, USUAL_PIXELS

if TYPE_CHECKING:
    from bench.records.arm_costs import MemoryReport
    from bench.runs.memory import MemoryRequest

_COUNT = click.IntRange(1, 10**6)


class MemoryOptions(TypedDict):
    """Values of the arguments and options below; sizes are in bytes, durations in seconds."""

    variants: tuple[str, ...]
    mode: str
    batch_size: int
    precision: str
    patcher: str
    attention: str
    optimizer: str
    checkpoint: str
    image_size: int
    device: str
    measure: bool
    max_batch: bool
    limit: int | None
    by: str
    case_timeout: float
    as_json: bool
    no_lock: bool


@click.command()
@click.argument("variants", nargs=-1, required=True, metavar="VARIANT...")
@click.option("--mode", type=click.Choice(MODES), default="train", show_default=True)
@click.option("--batch-size", type=_COUNT, default=32, show_default=True)
@click.option("--precision", default="fp32", show_default=True)
@click.option("--patcher", default=DEFAULT_ARM.patcher, show_default=True)
@click.option("--attention", default=DEFAULT_ARM.attention, show_default=True)
@click.option("--optimizer", default="adamw", show_default=True)
@click.option(
    "--checkpoint",
    default="none",
    show_default=True,
    help="blocks: recompute activations in backward.",
)
@click.option("--image-size", type=pixels, default=str(USUAL_PIXELS), show_default=True)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cuda",
    show_default=True,
    help="Device to predict for; it need not be present.",
)
@click.option("--measure/--no-measure", default=True, help="Also measure if the device is present.")
@click.option(
    "--max-batch",
    is_flag=True,
    help="Find the largest batch size that fits: predicted and, on a present device, tried.",
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
    help="component: also show the memory of patcher, attention, MLP and so on.",
)
@click.option(
    "--case-timeout",
    type=duration,
    default="10m",
    show_default=True,
    help="Time limit of one measurement.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per case.")
@no_lock_option
def memory(**options: Unpack[MemoryOptions]) -> None:
    """Predict the peak memory of VARIANTs (such as B/16), by purpose.

    The prediction runs the step that would be measured on shapes alone, so it needs neither the
    device nor the memory. If the device is present and has room, each case is also measured in a
    process of its own, and the table shows the error of the prediction. Exit code 1: a measurement
    failed; its status and a note give the reason.

    \b
    vitbench memory B/16 L/16 H/14 --mode train --batch-size 32 --precision amp_bf16
    vitbench memory B/16 --attention manual --max-batch --limit 24GiB
    vitbench memory B/16 L/16 H/14 --device cpu --batch-size 1
    """  # noqa: D301 (click wants the character itself)
    from bench.runs.memory import memory_reports

    request = _request(options)
    found: list[MemoryReport] = []
    try:
        for each in memory_reports(request, partial(click.echo, err=True)):
            found.append(each)
            if options["as_json"]:
                click.echo(json.dumps({**asdict(each), "error": each.error}))
    finally:
        # Cases finished before an interrupt or an error are printed.
        if found and not options["as_json"]:
            _print(found, options["by"])
    if any(map(_has_failed, found)):
        click.get_current_context().exit(1)


def _has_failed(report: "MemoryReport") -> bool:
    """Return whether a measurement failed; after a search for a batch the last one fits."""
    measured = report.measured
    return measured is not None and measured.status != "ok" and report.largest_batch is None


def _print(found: "list[MemoryReport]", by: str) -> None:
    from bench.report.tables.memory import component_table, memory_table, notes

    output().print(memory_table(found))
    for each in found if by == "component" else ():
        output().print(component_table(each))
    for note in notes(found):
        click.echo(note)


def _request(options: MemoryOptions) -> "MemoryRequest":
    """Return the request of the options. Raises UsageError for conflicting options."""
    from bench.records.comparison import Arm
    from bench.runs.memory import MemoryRequest

    limit = options["limit"]
    if limit is not None and not options["max_batch"]:
        raise click.UsageError("--limit has no effect without --max-batch; give both or neither")
    if options["max_batch"] and limit is None:
        limit = _free_bytes(options["device"])
    levels = {name: cast("str", value) for name, value in options.items() if name in FACTORS}
    return MemoryRequest(
        variants=options["variants"],
        arm=Arm(**levels),
        mode=options["mode"],
        batch_size=options["batch_size"],
        image_size=options["image_size"],
        device=options["device"],
        measure=options["measure"],
        limit_bytes=limit,
        case_timeout_s=options["case_timeout"],
        lock=not options["no_lock"],
        command=command_line(),
    )


def _free_bytes(device: str) -> int:
    """Return the free memory of a device. Raises UsageError if the device is absent."""
    from bench.machine.host import room_bytes

    free = room_bytes(device)
    if free is None:
        raise click.UsageError(f"device {device!r} is absent; give --limit, such as 24GiB")
    return free
