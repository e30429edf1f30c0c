"""Makes what a user names: arms of their own, parts of vitcore, and the inputs of both."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.arms.building import build_module
from bench.arms.candidates import Work, seeded
from bench.arms.compiling import UnavailableError
from bench.arms.loading import call, described
from bench.arms.parts import Part
from bench.arms.specs import Shapes, Source, inputs_for, read_arm, read_inputs
from bench.measure.trees import Inputs
from bench.record import OWN, Arm, Comparison, InputError, Workload

# Random whole numbers are below this: indices that every table has.
_INDICES = 10


@dataclass(frozen=True, kw_only=True)
class Made:
    """A user's arm, made: the work that it does, and the levels at which it does it."""

    work: Work
    levels: Arm


def make_arm(arm: Arm, device: str) -> Made:
    """Make a user's own arm with seeded random numbers; tensors are made on the device.

    Raises InputError where it cannot be made, UnavailableError where this machine cannot run it.
    """
    text = str(arm.factory)
    spec = read_arm(text)
    if isinstance(spec, Part):
        return _part(spec, arm, device)
    what = f"arm {text!r}"
    with seeded(device), torch.device(device):
        work = call(spec, what, Path(arm.tree) if arm.tree else None)
    if not callable(work):
        raise InputError(
            f"{what} returned {described(work)}; expected a module or a function to call: end "
            "the factory with return …"
        )
    return Made(work=work, levels=replace(arm, compile="eager"))


def _part(part: Part, arm: Arm, device: str) -> Made:
    wanted = "fp32" if arm.precision == OWN else arm.precision
    levels = replace(part.arm(wanted), factory=arm.factory, tree=arm.tree)
    if levels.precision == "tf32" and device != "cuda":
        raise UnavailableError("tf32 is a precision of CUDA devices; choose another here")
    workload = Workload(
        component=part.component,
        mode="forward",
        device=device,
        variant=part.variant,
        image_size=part.image_size,
    )
    return Made(work=build_module(levels, workload, head=part.head), levels=levels)


def make_inputs(comparison: Comparison) -> Inputs:
    """Make the inputs of a comparison of a user's own arms, the same at every call.

    Raises InputError where they cannot be made.
    """
    arms = [read_arm(str(each.factory)) for each in (comparison.baseline, comparison.arm)]
    text = inputs_for(comparison.workload.inputs, arms)
    spec = read_inputs(text)
    if isinstance(spec, Shapes):
        return _random(spec, text, comparison.baseline.precision)
    with seeded("cpu"):
        return _given(call(spec, f"input {text!r}"), spec)


def _random(spec: Shapes, text: str, precision: str) -> Inputs:
    """Standard normal numbers, or small whole ones, on the CPU."""
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    dtype = getattr(torch, precision, None)
    if isinstance(dtype, torch.dtype):
        high = 2 if dtype is torch.bool else _INDICES
        made = (torch.randint(high, shape, generator=generator).to(dtype) for shape in spec.shapes)
    else:
        made = (torch.randn(shape, generator=generator) for shape in spec.shapes)
    return Inputs(args=tuple(made))


def _given(made: object, source: Source) -> Inputs:
    if isinstance(made, Tensor):
        return Inputs(args=(made,))
    if isinstance(made, Mapping):
        return Inputs(kwargs={str(name): value for name, value in made.items()})
    if isinstance(made, list | tuple):
        return Inputs(args=tuple(made))
    raise InputError(
        f"input {str(source)!r} returned {described(made)}; expected a tensor, a tuple of what "
        "the arm takes by position, or a dict of what it takes by name"
    )
