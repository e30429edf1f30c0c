"""Command-line options that several commands share, and parsers of their values."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from bench.cli.output import command_line
from bench.records.comparison import OBJECTIVES, WEIGHTS

if TYPE_CHECKING:
    from bench.analysis.aim import Aim
    from bench.runs.settings import RunSettings

_UNITS_BYTES = {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class MeasuringOptions(TypedDict):
    """Values of the options of run, compare and regress alike; durations are in seconds."""

    budget: float
    passes: int
    case_timeout: float
    survey: bool
    seed: int
    out: Path | None
    no_lock: bool


def settings_of(options: MeasuringOptions, default: Path | None = None) -> "RunSettings":
    """Return the settings of a run into ``--out``, or into ``default`` (None: a temporary folder).

    Raises InputError for a folder that exists.
    """
    from bench.runs.settings import RunSettings

    return RunSettings(
        budget_s=options["budget"],
        passes=options["passes"],
        seed=options["seed"],
        command=command_line(),
        case_timeout_s=options["case_timeout"],
        survey=options["survey"],
        folder=options["out"] or default,
        lock=not options["no_lock"],
    )


def duration(text: str) -> float:
    """Parse a duration such as ``90s``, ``10m`` or ``1.5h``; return seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not seconds:
        raise click.BadParameter(f"{text!r} is not a duration; expected e.g. 90s, 10m or 1.5h")
    return seconds


def names(text: str) -> tuple[str, ...]:
    """Parse names separated by commas, such as ``B/16,L/16``; repeated names count once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def numbers(text: str) -> tuple[int, ...]:
    """Parse whole numbers separated by commas, such as ``1,8``; repeated numbers count once."""
    try:
        return tuple(dict.fromkeys(int(name) for name in names(text)))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a list of whole numbers; expected e.g. 1,8"
        ) from None


def pixels(text: str) -> int | tuple[int, int]:
    """Parse the size of an image: ``224`` for a square, or height and width as ``224x192``."""
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    if not found:
        raise click.BadParameter(f"{text!r} is not an image size; expected e.g. 224 or 224x192")
    return (int(found[1]), int(found[2])) if found[2] else int(found[1])


def share(text: str) -> float:
    """Parse a fraction between 0 and 1: ``2%`` or ``0.02``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value < 1:
        raise click.BadParameter(f"{text!r} is not a fraction; expected e.g. 2% or 0.02")
    return value


def size(text: str) -> int:
    """Parse an amount of memory such as ``24GiB``, ``512 MiB`` or ``80GB``; return bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|MB|GB)", text.strip())
    amount = int(float(found[1]) * _UNITS_BYTES[found[2]]) if found else 0
    if not amount:
        raise click.BadParameter(
            f"{text!r} is not an amount of memory; expected e.g. 24GiB or 512MiB"
        )
    return amount


def error_bound(text: str) -> float:
    """Parse a relative error such as ``1e-4``."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise click.BadParameter(f"{text!r} is not a relative error; expected e.g. 1e-4 or 0.01")
    return value


def tolerance(text: str) -> float:
    """Parse an allowed growth: ``3%``, ``0.03`` or ``0%``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    if not found:
        raise click.BadParameter(f"{text!r} is not a fraction; expected e.g. 3% or 0.03")
    return float(found[1]) / (100 if found[2] else 1)


delta_option = click.option(
    "--delta",
    type=share,
    default="2%",
    show_default=True,
    help="Arms whose times differ by less are equivalent.",
)
weights_option = click.option(
    "--weights",
    type=click.Choice(WEIGHTS),
    default="auto",
    show_default=True,
    help="Weights of a candidate: its own, those of the baseline, or (auto) its own if the "
    "outputs agree, else the baseline's if they agree then.",
)
no_lock_option = click.option(
    "--no-lock", is_flag=True, help="Measure even while another run measures on the device."
)

show_option = click.option(
    "--show",
    type=names,
    help="Further tables below the summary: some of decision,verdicts,cost,memory,work,compile,"
    "error,kernels,energy; all; none  [default: none; without a choice: verdicts,cost]",
)

objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default=OBJECTIVES[0],
    show_default=True,
    help="Criterion for the recommended implementation.",
)
other_objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    help="Criterion for the recommended implementation  [default: that of the run]",
)
max_error_option = click.option(
    "--max-error",
    type=error_bound,
    metavar="NUMBER",
    help="Recommend no arm with a larger relative error, e.g. 1e-4  [default: the tolerance of its "
    "precision]",
)


def one_input(shape: str | None, function: str | None) -> str | None:
    """Return the value of --input or of --inputs. Raises UsageError if both are given."""
    if shape is not None and function is not None:
        raise click.UsageError("--input and --inputs are mutually exclusive; give one of them")
    return function if shape is None else shape


def other_aim(aim: "Aim", objective: str | None, max_error: float | None) -> "Aim":
    """Return the aim of a run, changed by the options that were given."""
    return replace(
        aim,
        objective=objective or aim.objective,
        max_error=aim.max_error if max_error is None else max_error,
    )
