"""``vitbench profile``: where the time of one call goes, by component and by operator."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import click

from bench.cli.options import duration, no_lock_option, pixels
from bench.cli.output import command_line, output
from bench.records.comparison import DEFAULT_ARM, DEVICES, FACTORS, MODES, USUAL_PIXELS

if TYPE_CHECKING:
    from bench.records.arm_costs import Case
    from bench.runs.profiling import ProfileFolder

_COMPONENTS = ("model", "block", "attention", "patcher")
_COUNT = click.IntRange(1, 10**6)


class ProfileOptions(TypedDict):
    """Values of the argument and options below; durations are in seconds."""

    variant: str | None
    device: str
    mode: str
    component: str
    precision: str
    attention: str
    patcher: str
    compile: str
    checkpoint: str
    optimizer: str
    batch_size: int
    image_size: int
    calls: int
    top: int
    out: Path | None
    again: Path | None
    case_timeout: float
    as_json: bool
    no_lock: bool


@click.command()
@click.argument("variant", required=False)
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="forward", show_default=True)
@click.option(
    "--component",
    type=click.Choice(_COMPONENTS),
    default="model",
    show_default=True,
    help="The whole model, or a part of it alone.",
)
@click.option("--precision", default="fp32", show_default=True)
@click.option("--attention", default=DEFAULT_ARM.attention, show_default=True)
@click.option("--patcher", default=DEFAULT_ARM.patcher, show_default=True)
@click.option(
    "--compile",
    default="eager",
    show_default=True,
    help="How to compile: eager, compile_blocks or compile.",
)
@click.option(
    "--checkpoint",
    default="none",
    show_default=True,
    help="blocks: recompute activations in backward.",
)
@click.option("--optimizer", default="adamw", show_default=True)
@click.option("--batch-size", type=_COUNT, default=1, show_default=True)
@click.option("--image-size", type=pixels, default=str(USUAL_PIXELS), show_default=True)
@click.option(
    "--calls",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Profiled calls, each beside an unprofiled one.",
)
@click.option("--top", type=_COUNT, default=15, show_default=True, help="Operators to show.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="New folder  [default: results/profile-<time>]"
)
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Measure nothing: print and draw the profile in DIR again.",
)
@click.option(
    "--case-timeout",
    type=duration,
    default="10m",
    show_default=True,
    help="Time limit of one call, and of building before the first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print profile.json, nothing else.")
@no_lock_option
def profile(**options: Unpack[ProfileOptions]) -> None:
    """Show where the time of one call of VARIANT (such as B/16) goes.

    One table shows the share of each component (forward and backward together), another the share
    of each operator. The folder holds bar plots of both, a trace for ui.perfetto.dev, collapsed
    stacks for flame graphs, memory over the call, and all data. Unprofiled and profiled calls
    alternate, which gives the overhead of the profiler.

    \b
    vitbench profile B/16
    vitbench profile B/16 --mode train --component block --attention manual
    vitbench profile --again results/profile-20261122-174846
    vitbench profile L/16 --device cuda --mode train --batch-size 32 --precision amp_bf16
    """  # noqa: D301 (click wants the character itself)
    from bench.runs.profiling import draw

    found, top = _profile(options), options["top"]
    draw(found, top)
    if options["as_json"]:
        click.echo((found.folder / "profile.json").read_text(encoding="utf-8"), nl=False)
        return
    _print(found, top)


def _profile(options: ProfileOptions) -> "ProfileFolder":
    """Profile the case of the options, or read a profile. Raises UsageError for both or neither."""
    from bench.files.run_folder import new_run_id
    from bench.runs.profiling import ProfileRequest, profile, read

    variant, again = options["variant"], options["again"]
    if again is not None and variant is None:
        return read(again)
    if variant is None or again is not None:
        raise click.UsageError("give either VARIANT, such as B/16, or --again DIR")
    request = ProfileRequest(
        case=_case(variant, options),
        calls=options["calls"],
        folder=options["out"] or Path("results") / f"profile-{new_run_id(datetime.now(UTC))}",
        command=command_line(),
        case_timeout_s=options["case_timeout"],
        lock=not options["no_lock"],
    )
    return profile(request, partial(click.echo, err=True))


def _print(found: "ProfileFolder", top: int) -> None:
    from bench.report.labels import case_heading
    from bench.report.tables.call_profile import (
        component_table,
        files_line,
        memory_table,
        notes,
        operator_table,
    )

    profiled, folder = found.profiled, found.folder
    click.echo(f"Time of one call: {case_heading(profiled.case)}")
    output().print(component_table(profiled), operator_table(profiled, top))
    if profiled.watched is not None:
        output().print(memory_table(profiled.watched))
    for note in notes(profiled):
        click.echo(note)
    click.echo(files_line(folder, sorted(path.name for path in folder.iterdir())))


def _case(variant: str, options: ProfileOptions) -> "Case":
    """Return the case of the options. Raises InputError for an unknown name or level."""
    from bench.records.arm_costs import Case
    from bench.records.comparison import Arm, Workload
    from bench.suite.availability import check_arm
    from bench.suite.grid import Selection
    from vitcore.config import VARIANTS

    Selection(variants=(variant,), image_size=options["image_size"])
    levels = {name: cast("str", value) for name, value in options.items() if name in FACTORS}
    arm = Arm(**levels)
    check_arm(arm, options["device"])
    workload = Workload(
        component=options["component"],
        mode=options["mode"],
        device=options["device"],
        variant=variant,
        patch_size=VARIANTS[variant]["patch_size"],
        image_size=options["image_size"],
        batch_size=options["batch_size"],
    )
    return Case(workload=workload, arm=arm)
