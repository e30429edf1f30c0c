"""Both arms of a comparison: built with equal weights and inputs, and checked.

The only module that distinguishes parts of vitcore, which are checked against float64, from a
user's own arms, which are checked against their baseline.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from bench.arms import building
from bench.arms.agreement import Agreement
from bench.arms.building import Both, build_module, in_turn
from bench.arms.candidate import Candidate, Work
from bench.arms.inputs import Inputs, inputs_of
from bench.arms.kept_state import copied_module
from bench.arms.own_check import check_own, own_answer
from bench.arms.preparing import seeded
from bench.arms.weights import misfit, share_weights
from bench.records.comparison import OWN, Arm, Comparison, Workload
from bench.records.errors import InputError, UnavailableError
from bench.suite.availability import precision_problem
from bench.usercode.loading import call, described
from bench.usercode.spec import InputSpec, Shapes, parse_arm, read_arm, read_inputs
from bench.usercode.vitcore_spec import VitcorePart

# Upper bound of random integers, which may be indices into a table.
_INDICES = 10


@dataclass(frozen=True, kw_only=True)
class BuiltArm:
    """A user's arm after its factory has run: a module or function, and its levels."""

    work: Work
    levels: Arm


def make_arm(arm: Arm, device: str) -> BuiltArm:
    """Build a user's own arm with seeded random numbers and tensors on the device.

    Raises InputError if it cannot be built, UnavailableError if this machine cannot run it.
    """
    # The file of another tree need not be in this one.
    spec = (parse_arm if arm.tree else read_arm)(str(arm.factory))
    if isinstance(spec.code, VitcorePart):
        return _part(spec.code, arm, device)
    with seeded(device), torch.device(device):
        work = call(spec.code, str(spec), Path(arm.tree) if arm.tree else None)
    if not callable(work):
        raise InputError(
            f"{spec} returned {described(work)}; expected a module or a function to call: end "
            "the factory with return …"
        )
    return BuiltArm(work=work, levels=replace(arm, compile="eager"))


def _part(part: VitcorePart, arm: Arm, device: str) -> BuiltArm:
    wanted = "fp32" if arm.precision == OWN else arm.precision
    levels = replace(part.arm(wanted), factory=arm.factory, tree=arm.tree)
    if problem := precision_problem(levels.precision, device):
        raise UnavailableError(problem)
    workload = Workload(
        component=part.component,
        mode="forward",
        device=device,
        variant=part.variant,
        image_size=part.image_size,
    )
    return BuiltArm(work=build_module(levels, workload, head=part.head), levels=levels)


def make_inputs(comparison: Comparison) -> Inputs:
    """Build the inputs of a comparison of a user's own arms, the same at every call.

    Raises InputError if they cannot be built.
    """
    spec = read_inputs(comparison.workload.inputs or "")
    if isinstance(spec.code, Shapes):
        return _random(spec.code, spec.text, comparison.baseline.precision)
    with seeded("cpu"):
        return _given(call(spec.code, str(spec)), spec)


def _random(spec: Shapes, text: str, precision: str) -> Inputs:
    """Return standard normal numbers, or small integers, on the CPU, seeded with ``text``."""
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    dtype = getattr(torch, precision, None)
    if isinstance(dtype, torch.dtype):
        high = 2 if dtype is torch.bool else _INDICES
        made = (torch.randint(high, shape, generator=generator).to(dtype) for shape in spec.shapes)
    else:
        made = (torch.randn(shape, generator=generator) for shape in spec.shapes)
    return Inputs(args=tuple(made))


def _given(made: object, spec: InputSpec) -> Inputs:
    if (inputs := inputs_of(made)) is not None:
        return inputs
    raise InputError(
        f"{spec} returned {described(made)}; expected a tensor, a tuple of what "
        "the arm takes by position, or a dict of what it takes by name"
    )


@dataclass(frozen=True)
class _Kind:
    build: Callable[..., Both[Candidate]]
    check: Callable[[Comparison, Candidate, Candidate], Agreement]


def build_arms(comparison: Comparison, *, arm_first: bool = False) -> Both[Candidate]:
    """Build baseline and candidate with equal inputs and, if possible, equal weights.

    ``arm_first`` builds the candidate first, so that it is first in memory; the order of the result
    is the same. Raises UnavailableError if this machine cannot run one of them, InputError if a
    user's arm or input cannot be built.
    """
    return _kind(comparison).build(comparison, arm_first=arm_first)


def build_one(comparison: Comparison) -> Candidate:
    """Build the candidate of a comparison alone. Raises like ``build_arms``."""
    workload, arm = comparison.workload, comparison.arm
    if arm.factory is None:
        return building.build_candidate(arm, workload)
    made = make_arm(arm, workload.device)
    return Candidate(made.levels, workload, made.work, make_inputs(comparison))


def check(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    """Check the arm's outputs against their reference; return the errors."""
    return _kind(comparison).check(comparison, baseline, arm)


def ready_arms(
    comparison: Comparison,
    baseline: BuiltArm,
    arm: BuiltArm,
    inputs: Inputs,
    *,
    arm_first: bool = False,
) -> Both[Candidate]:
    """Return two of a user's arms, ready to run."""
    if isinstance(arm.work, nn.Module) and arm.work is baseline.work:
        # Two calls must not share weights in the cache, nor train the same ones.
        arm = replace(arm, work=copied_module(arm.work))
    workload = comparison.workload
    ready = (
        partial(Candidate, each.levels, workload, each.work, inputs) for each in (baseline, arm)
    )
    made = in_turn(*ready, arm_first=arm_first)
    share_as_chosen(comparison, arm.levels, made[0].module, made[1].module)
    return made


def share_as_chosen(comparison: Comparison, arm: Arm, source: nn.Module, target: nn.Module) -> None:
    """Give an arm the baseline's weights: a copy of the baseline always, another if asked to.

    Raises InputError if it is asked and the weights do not fit.
    """
    if arm.factory == comparison.baseline.factory:
        share_weights(source, target)
    elif comparison.weights == "shared":
        if why := misfit(source, target):
            raise InputError(
                f"the weights of {comparison.baseline.factory} cannot be shared: {why}; give "
                "modules of equal names and shapes, or leave --weights auto"
            )
        share_weights(source, target)


def _build_own(comparison: Comparison, *, arm_first: bool) -> Both[Candidate]:
    device = comparison.workload.device
    inputs = make_inputs(comparison)
    arms = (comparison.baseline, comparison.arm)
    made = in_turn(*(partial(make_arm, arm, device) for arm in arms), arm_first=arm_first)
    return ready_arms(comparison, *made, inputs, arm_first=arm_first)


def _check_own(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    found = own_answer("baseline", comparison, baseline)
    if isinstance(found, Agreement):
        return found
    return check_own(comparison, found, baseline, [arm], baseline.module)


def _kind(comparison: Comparison) -> _Kind:
    if comparison.baseline.factory is not None:
        return _Kind(_build_own, _check_own)
    return _Kind(building.build_arms, building.check)
