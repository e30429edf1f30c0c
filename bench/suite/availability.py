"""Check whether devices, precisions and levels of an arm are available. No torch."""

from collections.abc import Iterable, Sequence

from bench.records.comparison import FACTORS, Arm
from bench.records.errors import InputError
from bench.suite.grid import LEVELS
from vitcore.config import known

# Precisions that only CUDA devices compute in.
_CUDA_PRECISIONS = ("tf32",)


def check_devices(asked: Iterable[str], found: Sequence[str]) -> None:
    """Raise InputError for a device that is not among those that torch finds on this machine."""
    for device in asked:
        if device not in found:
            raise InputError(
                f"device {device!r} is not available here; choose from: {', '.join(found)}"
            )


def precision_problem(precision: str, device: str) -> str | None:
    """Return why a device cannot compute in a precision, and what to do; None if it can."""
    if precision not in _CUDA_PRECISIONS or device == "cuda":
        return None
    return (
        f"precision {precision!r} is only available on CUDA; give --device cuda, or another "
        "precision"
    )


def check_arm(arm: Arm, device: str) -> None:
    """Raise InputError for an arm with an unknown level, or a precision that its device lacks."""
    try:
        for factor in FACTORS:
            known(factor, arm.level(factor), LEVELS[factor])
    except ValueError as error:
        raise InputError(str(error)) from error
    if problem := precision_problem(arm.precision, device):
        raise InputError(problem)
