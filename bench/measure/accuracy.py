"""Numeric error of an arm against float64, and how much of it each precision may have."""

import math
from collections.abc import Mapping

from torch import Tensor

# Largest relative norm that rounding alone explains, for outputs and gradients of a whole model;
# an arm above it computes something else. Unit roundoffs: fp64 1e-16, fp32 6e-8, tf32 and fp16
# 5e-4, bf16 4e-3.
TOLERANCES = {
    "fp64": 1e-10,
    "fp32": 1e-4,
    "tf32": 2e-2,
    "amp_fp16": 2e-2,
    "fp16": 2e-2,
    "amp_bf16": 1e-1,
    "bf16": 1e-1,
}


def relative_error(value: Tensor, reference: Tensor) -> float:
    """||value - reference|| / ||reference||, both float64 and of one shape."""
    return float((value - reference).norm() / reference.norm())


def gradient_error(values: Mapping[str, Tensor], references: Mapping[str, Tensor]) -> float:
    """Relative norm of the error over all gradients together, matched by name.

    Raises KeyError where a parameter got no gradient.
    """
    wrong = sum(float((values[name] - g).norm() ** 2) for name, g in references.items())
    return math.sqrt(wrong / sum(float(g.norm() ** 2) for g in references.values()))


def beyond_tolerance(precision: str, errors: Mapping[str, float | None]) -> str | None:
    """Why an arm counts as wrong, or None where every error is within its precision's tolerance.

    A NaN is never within.
    """
    limit = TOLERANCES[precision]
    for name, error in errors.items():
        if error is not None and not error <= limit:
            return f"{name} error {error:.2g} against float64; {precision} allows {limit:.0e}"
    return None
