"""``vitbench memory``: what a model takes of memory, predicted on any machine."""

import json
from dataclasses import asdict
from typing import Any

import click

from bench.commands.shared import output
from bench.options import pixels, size
from bench.record import DEVICES, FACTORS, MODES

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
@click.option("--max-batch", is_flag=True, help="The largest batch size that --limit holds.")
@click.option("--limit", type=size, metavar="SIZE", help="Memory of the device, such as 24GiB.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each case.")
def memory(**given: Any) -> None:
    """Predict the memory of VARIANTs (such as B/16) at its peak, by what it is for.

    The prediction runs the very step that would be measured on shapes alone, so it needs neither
    the device nor the memory. Where the device is here and has room, each case is also measured in
    a process of its own, and the error of the prediction is shown.

    \b
    vitbench memory B/16 L/16 H/14 --mode train --batch-size 32 --precision amp_bf16
    vitbench memory B/16 --attention manual --max-batch --limit 24GiB
    vitbench memory B/16 L/16 H/14 --device cpu --batch-size 1
    """  # noqa: D301 (click wants the character itself)
    from bench.report.memory import memory_table, notes
    from bench.runner.memory import look

    as_json = given.pop("as_json")
    request = _request(given)
    found = []
    for each in look(request):
        found.append(each)
        if as_json:
            click.echo(json.dumps({**asdict(each), "error": each.error}))
        else:
            click.echo(f"{each.case.key}: {each.seconds:.1f} s", err=True)
    if not as_json:
        output().print(memory_table(found))
        for note in notes(found):
            click.echo(note)


def _request(given: dict[str, Any]) -> Any:
    """What was asked for. Raises UsageError for options that contradict each other."""
    from bench.record import Arm
    from bench.runner.memory import MemoryRequest

    if given.pop("max_batch") != (given["limit"] is not None):
        raise click.UsageError("--max-batch and --limit belong together; give both or neither")
    levels = {name: given.pop(name) for name in FACTORS if name in given}
    return MemoryRequest(arm=Arm(**levels), limit_bytes=given.pop("limit"), **given)
