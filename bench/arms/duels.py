"""Both arms of a comparison: built with equal weights and inputs, and checked.

The one place that tells parts of vitcore, which float64 judges, from a user's own arms, which
have only each other.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.arms import building
from bench.arms.candidates import Candidate
from bench.arms.factories import Made, make_arm, make_inputs
from bench.measure.agreement import Agreement, agreement
from bench.measure.memory import is_out_of_memory
from bench.measure.trees import Inputs, Leaves, named
from bench.record import Comparison, one_line

T = TypeVar("T")


class ArmError(RuntimeError):
    """One of a user's arms failed when it was called; the message says which, and how."""


@dataclass(frozen=True)
class _Kind:
    build: Callable[[Comparison], tuple[Candidate, Candidate]]
    check: Callable[[Comparison, Candidate, Candidate], Agreement]


def build_pair(comparison: Comparison) -> tuple[Candidate, Candidate]:
    """Build baseline and candidate with equal inputs, and equal weights where they can have them.

    Raises UnavailableError where this machine cannot run one of them, InputError where what a user
    names cannot be made.
    """
    return _kind(comparison).build(comparison)


def check(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    """Whether the arm computes what it should, and how far from it."""
    return _kind(comparison).check(comparison, baseline, arm)


def pair_of(
    comparison: Comparison, baseline: Made, arm: Made, inputs: Inputs
) -> tuple[Candidate, Candidate]:
    """Two arms of a user's own, ready to run."""
    if isinstance(arm.work, nn.Module) and arm.work is baseline.work:
        # The second call must not find the first one's weights in the cache, nor train them.
        arm = replace(arm, work=copy.deepcopy(arm.work))
    if isinstance(baseline.work, nn.Module) and isinstance(arm.work, nn.Module):
        share_weights(baseline.work, arm.work)
    workload = comparison.workload
    return (
        Candidate(baseline.levels, workload, baseline.work, inputs),
        Candidate(arm.levels, workload, arm.work, inputs),
    )


def share_weights(source: nn.Module, target: nn.Module) -> None:
    """Give ``target`` the weights of ``source`` where both have the same names and shapes.

    Names are vitcore's canonical ones, so that its arms fit each other and nn.MultiheadAttention.
    """
    into = _state(target)
    have, want = named(_state(source)), named(into)
    if {n: v.shape for n, v in have.items()} != {n: v.shape for n, v in want.items()}:
        return
    with torch.no_grad():
        for name, value in zip(want, into.values(), strict=True):
            value.copy_(have[name].reshape(value.shape))


def _state(module: nn.Module) -> Leaves:
    """Without what a module's own code may add to its state."""
    return {n: value for n, value in module.state_dict().items() if isinstance(value, Tensor)}


def _build_own(comparison: Comparison) -> tuple[Candidate, Candidate]:
    device = comparison.workload.device
    inputs = make_inputs(comparison)
    baseline = make_arm(comparison.baseline, device)
    return pair_of(comparison, baseline, make_arm(comparison.arm, device), inputs)


def _check_own(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    answers = []
    for who, each in (("baseline", baseline), ("candidate", arm)):
        before = [tensor.clone() for tensor in each.inputs.tensors().values()]
        answers.append(_called(who, partial(_answer, comparison, each)))
        if not all(map(_is_same, before, each.inputs.tensors().values())):
            return Agreement(error=f"the {who} changes its input: let it work on a copy")
    expected, answer = answers
    found = agreement(answer, expected, (baseline.arm.precision, arm.arm.precision))
    if found.error and comparison.allow_different:
        return replace(found, error=None, note=f"accepted: {found.error.partition(':')[0]}")
    return found


def _is_same(before: Tensor, after: Tensor) -> bool:
    return torch.equal(before.nan_to_num(), after.detach().nan_to_num())


def _answer(comparison: Comparison, arm: Candidate) -> tuple[Leaves, Leaves]:
    if comparison.workload.mode == "train":
        return arm.outputs_and_gradients()
    return arm.outputs(), {}


def _called(who: str, answer: Callable[[], T]) -> T:
    try:
        return answer()
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise ArmError(f"the {who} raised {one_line(error)}") from error


def _kind(comparison: Comparison) -> _Kind:
    if comparison.baseline.factory is not None:
        return _Kind(_build_own, _check_own)
    return _Kind(building.build_pair, building.check)
