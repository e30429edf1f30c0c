"""Values of command-line options: from what a user writes to a checked value."""

import re
from dataclasses import replace
from typing import Any

import click

from bench.records.comparison import OBJECTIVES

_UNITS_BYTES = {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Seconds of a length of time: ``90s``, ``10m``, ``1.5h``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not seconds:
        raise click.BadParameter(f"{text!r} is no duration; expected such as 90s, 10m or 1.5h")
    return seconds


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them: ``B/16,L/16``; one given twice counts once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them: ``1,8``; one given twice counts once."""
    try:
        return tuple(dict.fromkeys(int(name) for name in names(text)))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no list of whole numbers; expected such as 1,8"
        ) from None


def pixels(text: str) -> int | tuple[int, int]:
    """Size of an image: ``224`` for a square, or height and width as ``224x192``."""
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    if not found:
        raise click.BadParameter(f"{text!r} is no image size; expected such as 224 or 224x192")
    return (int(found[1]), int(found[2])) if found[2] else int(found[1])


def share(text: str) -> float:
    """A part of one: ``2%`` or ``0.02``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value < 1:
        raise click.BadParameter(f"{text!r} is no share; expected such as 2% or 0.02")
    return value


def size(text: str) -> int:
    """Bytes of an amount of memory: ``24GiB``, ``512 MiB``, ``80GB``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|MB|GB)", text.strip())
    amount = int(float(found[1]) * _UNITS_BYTES[found[2]]) if found else 0
    if not amount:
        raise click.BadParameter(f"{text!r} is no size; expected such as 24GiB or 512MiB")
    return amount


def error_bound(text: str) -> float:
    """A relative error: ``1e-4``, ``0.01``."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise click.BadParameter(f"{text!r} is no relative error; expected such as 1e-4 or 0.01")
    return value


def tolerance(text: str) -> float:
    """By how much something may grow: ``3%``, ``0.03``, or ``0%``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    if not found:
        raise click.BadParameter(f"{text!r} is no share; expected such as 3% or 0.03")
    return float(found[1]) / (100 if found[2] else 1)


delta_option = click.option(
    "--delta",
    type=share,
    default="2%",
    show_default=True,
    help="Arms that differ by less are equivalent.",
)
no_lock_option = click.option(
    "--no-lock", is_flag=True, help="Measure even while another run measures here."
)

show_option = click.option(
    "--show",
    type=names,
    default="cost",
    show_default=True,
    help="What arms cost, beside the verdicts: cost (what decides), or some of "
    "memory,work,compile,error,kernels,energy; all; none.",
)

objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default=OBJECTIVES[0],
    show_default=True,
    help="What to choose an implementation by.",
)
other_objective_option = click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    help="What to choose an implementation by  [default: what the run was to choose by]",
)
max_error_option = click.option(
    "--max-error",
    type=error_bound,
    metavar="NUMBER",
    help="Choose no arm with a larger relative error, such as 1e-4  [default: its precision's own "
    "tolerance]",
)


def aim_of(given: dict[str, Any]) -> Any:
    """What to choose by, taken out of the options."""
    from bench.analysis.decision import Aim

    return Aim(objective=given.pop("objective"), max_error=given.pop("max_error"))


def other_aim(aim: Any, objective: str | None, max_error: float | None) -> Any:
    """What to choose by, where the options say another than the run's own."""
    return replace(
        aim,
        objective=objective or aim.objective,
        max_error=aim.max_error if max_error is None else max_error,
    )
