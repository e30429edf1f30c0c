"""Both arms of a comparison: built with equal weights and inputs, and checked.

The only module that distinguishes parts of vitcore, which are checked against float64, from a
user's own arms, which are checked against their baseline.
"""

import copy
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.arms import building
from bench.arms.agreement import Agreement, agreement
from bench.arms.building import Both, build_module, in_turn
from bench.arms.candidate import Candidate, Work, seeded
from bench.arms.tensors import Inputs, Leaves, inputs_of, named
from bench.records.comparison import OWN, Arm, Comparison, Workload
from bench.records.errors import InputError, UnavailableError, one_line
from bench.suite.availability import precision_problem
from bench.timing.device import is_out_of_memory
from bench.usercode.loading import call, described
from bench.usercode.spec import InputSpec, Shapes, parse_arm, read_arm, read_inputs
from bench.usercode.vitcore_spec import VitcorePart

# Upper bound of random integers, which may be indices into a table.
_INDICES = 10
T = TypeVar("T")
# Outputs and gradients by name.
Answer = tuple[Leaves, Leaves]


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


class ArmError(RuntimeError):
    """A user's arm raised when it was called; the message names the arm and the exception."""


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
        arm = replace(arm, work=copy.deepcopy(arm.work))
    if isinstance(baseline.work, nn.Module) and isinstance(arm.work, nn.Module):
        share_weights(baseline.work, arm.work)
    workload = comparison.workload
    ready = (
        partial(Candidate, each.levels, workload, each.work, inputs) for each in (baseline, arm)
    )
    return in_turn(*ready, arm_first=arm_first)


def share_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of ``source`` to ``target`` if both have the same names and shapes.

    Names are vitcore's canonical ones, so that its arms match each other and nn.MultiheadAttention.
    """
    into = _state(target)
    have, want = named(_state(source)), named(into)
    if {n: v.shape for n, v in have.items()} != {n: v.shape for n, v in want.items()}:
        return
    with torch.no_grad():
        for name, value in zip(want, into.values(), strict=True):
            value.copy_(have[name].reshape(value.shape))


def _state(module: nn.Module) -> Leaves:
    """Return the tensors of a module's state, without other objects that its code may add."""
    return {n: value for n, value in module.state_dict().items() if isinstance(value, Tensor)}


def _build_own(comparison: Comparison, *, arm_first: bool) -> Both[Candidate]:
    device = comparison.workload.device
    inputs = make_inputs(comparison)
    arms = (comparison.baseline, comparison.arm)
    made = in_turn(*(partial(make_arm, arm, device) for arm in arms), arm_first=arm_first)
    return ready_arms(comparison, *made, inputs, arm_first=arm_first)


def _check_own(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    found = own_answer("baseline", comparison, baseline)
    return found if isinstance(found, Agreement) else check_own(comparison, found, baseline, arm)


def check_own(
    comparison: Comparison, expected: Answer, baseline: Candidate, arm: Candidate
) -> Agreement:
    """Compare a user's arm with the baseline's answer, within what the comparison allows."""
    answer = own_answer("candidate", comparison, arm)
    if isinstance(answer, Agreement):
        return answer
    found = agreement(answer, expected, (baseline.arm.precision, arm.arm.precision))
    return found.accepted() if comparison.allow_different else found


def own_answer(name: str, comparison: Comparison, arm: Candidate) -> Answer | Agreement:
    """Return outputs and gradients of a user's arm; a failed check if it changes its input."""
    before = [tensor.clone() for tensor in arm.inputs.tensors().values()]
    answer = called(name, partial(_answer, comparison, arm))
    if not all(map(_is_same, before, arm.inputs.tensors().values())):
        return Agreement(error=f"the {name} changes its input: let it work on a copy")
    return answer


def _is_same(before: Tensor, after: Tensor) -> bool:
    return torch.equal(before.nan_to_num(), after.detach().nan_to_num())


def _answer(comparison: Comparison, arm: Candidate) -> Answer:
    if comparison.workload.mode == "train":
        return arm.outputs_and_gradients()
    return arm.outputs(), {}


def called(name: str, answer: Callable[[], T]) -> T:
    """Call a user's arm; raises ArmError, with its name, for any exception but lack of memory."""
    try:
        return answer()
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise ArmError(f"the {name} raised {one_line(error)}") from error


def _kind(comparison: Comparison) -> _Kind:
    if comparison.baseline.factory is not None:
        return _Kind(_build_own, _check_own)
    return _Kind(building.build_arms, building.check)
