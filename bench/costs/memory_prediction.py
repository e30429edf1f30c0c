"""Predict the memory of a call by running it on fake tensors, without its device.

The call is the measured step (``Candidate.once``), run twice: the second step is the steady state,
in which gradients and optimizer state exist. On a CPU the prediction includes the scratch of the
math library (``bench.costs.scratch``), which depends on the machine.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from bench.analysis.memory_timeline import Block, peak
from bench.arms.building import build_candidate
from bench.arms.candidate import Candidate
from bench.costs.component_ranges import component_ranges, parameters_by_component
from bench.costs.decomposed_ops import DecomposedOps
from bench.costs.memory_tracer import Tracker
from bench.records.arm_costs import Case, PredictedMemory
from bench.records.errors import InputError

# Granularity of torch's allocator: c10/cuda/CUDACachingAllocator.h, kMinBlockSize.
_GRANULE_BYTES = {"cpu": 1, "cuda": 512}
# Component name of the images, which no component creates.
_INPUT = "input"
# Optimizer implementations that torch selects by default on CUDA.
_CUDA_OPTIMIZERS = {"adamw": "adamw_foreach"}


class _CudaAutocast(TorchFunctionMode):
    """Compute softmax in float32 under autocast, as on CUDA; a CPU's autocast does not cast it."""

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch; softmax with a float32 input."""
        if func in (torch.softmax, F.softmax) and torch.is_autocast_enabled("cpu"):
            args = (args[0].float(), *args[1:])
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The memory of one call in steady state: blocks alive at some time during it.

    ``since`` is the event at which the call begins, ``phases`` those at which its phases begin.
    """

    blocks: list[Block]
    since: int
    phases: dict[str, int]


def predict(case: Case) -> PredictedMemory:
    """Predict the live bytes at the peak of a call of one arm in steady state.

    Raises InputError for a compiled arm: shapes do not determine the tensors that a compiler fuses.
    """
    found = peak(trace(case).blocks)
    return PredictedMemory(
        total_bytes=found.total_bytes, by_kind=found.by_kind, by_component=found.by_component
    )


def trace(case: Case) -> Trace:
    """Trace the memory blocks of a call of one arm in steady state. Raises like ``predict``."""
    if case.arm.compile != "eager":
        raise InputError(
            f"memory of arm {case.arm.compile!r} cannot be predicted: the compiler decides which "
            "tensors are kept; expected eager"
        )
    widened = _CudaAutocast() if case.workload.device == "cuda" else nullcontext()
    with FakeTensorMode(), widened:
        arm = _fake_arm(case)
        tracker = Tracker(_GRANULE_BYTES[case.workload.device])
        with tracker, DecomposedOps(case.workload.device):
            tracker.label("inputs", arm.inputs.tensors().values(), _INPUT)
            with arm.surroundings():
                arm.once()
                _label_persistent(arm, tracker)
                steady = tracker.events
                with _label_by_phase(arm, tracker) as phases, component_ranges(arm, tracker.inside):
                    arm.once()
    return Trace(blocks=tracker.blocks(since=steady), since=steady, phases=phases)


def _fake_arm(case: Case) -> Candidate:
    """Build the arm on fake CPU tensors: without a GPU, fake CUDA tensors have no backward."""
    levels = case.arm
    if case.workload.device == "cuda":
        levels = replace(levels, optimizer=_CUDA_OPTIMIZERS.get(levels.optimizer, levels.optimizer))
    arm = build_candidate(levels, replace(case.workload, device="cpu"))
    # A loss scale takes negligible memory, and adjusting it needs real data.
    arm.scaler = torch.GradScaler("cpu", enabled=False)
    return arm


def _label_persistent(arm: Candidate, tracker: Tracker) -> None:
    """Label the persistent tensors: parameters, their gradients, optimizer state."""
    states = arm.optimizer.state if arm.optimizer else {}
    for component, parameters in parameters_by_component(arm).items():
        tracker.label("parameters", parameters, component)
        tracker.label("gradients", _gradients(parameters), component)
        kept = (value for each in parameters for value in states.get(each, {}).values())
        tracker.label("optimizer", (each for each in kept if isinstance(each, Tensor)), component)


def _gradients(parameters: Iterable[nn.Parameter]) -> Iterator[Tensor]:
    return (each.grad for each in parameters if each.grad is not None)


@contextmanager
def _label_by_phase(arm: Candidate, tracker: Tracker) -> Iterator[dict[str, int]]:
    """Label activations at the end of forward, and gradients before the optimizer step.

    Inference has no activations: nothing is kept for backward. Yields the events at which forward,
    backward and optimizer begin, filled in during the call.
    """
    phases = {"forward": tracker.events}

    def forward_ends(*_: object) -> None:
        tracker.relabel("temporaries", "activations")
        phases["backward"] = tracker.events

    def step_begins(*_: object) -> None:
        for component, parameters in parameters_by_component(arm).items():
            tracker.label("gradients", _gradients(parameters), component)
        phases["optimizer"] = tracker.events

    hooks = []
    if arm.trains:
        hooks.append(arm.module.register_forward_hook(forward_ends))
    if arm.optimizer:
        hooks.append(arm.optimizer.register_step_pre_hook(step_begins))
    try:
        yield phases
    finally:
        for hook in hooks:
            hook.remove()
