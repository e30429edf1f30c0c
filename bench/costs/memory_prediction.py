"""Predicts the memory of a call by running it on shapes alone, on a machine without its device.

The call is the very step that is measured (``Candidate.once``), run twice on fake tensors: the
second step is the steady state, in which gradients and the optimizer's state are there. On a CPU
the scratch of its math library is part of it (``bench.costs.scratch``): it depends on the machine.
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
from bench.costs.decomposed_ops import OpenedFastPath
from bench.costs.memory_tracer import Tracker
from bench.records.arm_costs import Case, Predicted
from bench.records.errors import InputError

# The step in which torch's allocator gives memory: c10/cuda/CUDACachingAllocator.h, kMinBlockSize.
_GRANULE_BYTES = {"cpu": 1, "cuda": 512}
# What no component makes: the images.
_INPUT = "input"
# What torch chooses by itself on CUDA.
_CUDA_OPTIMIZERS = {"adamw": "adamw_foreach"}


class _CudaAutocast(TorchFunctionMode):
    """Softmax in float32 under autocast, as on CUDA; a CPU's autocast leaves its type alone."""

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, softmax with a wider input."""
        if func in (torch.softmax, F.softmax) and torch.is_autocast_enabled("cpu"):
            args = (args[0].float(), *args[1:])
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The memory of one call in steady state: what lived during it or came before and stayed.

    ``since`` is the event at which the call begins, ``phases`` those at which its parts do.
    """

    blocks: list[Block]
    since: int
    phases: dict[str, int]


def predict(case: Case) -> Predicted:
    """Bytes that live at the peak of a call of one arm in steady state.

    Raises InputError for a compiled arm: what a compiler fuses away is not told by shapes.
    """
    found = peak(trace(case).blocks)
    return Predicted(
        total_bytes=found.total_bytes, by_kind=found.by_kind, by_component=found.by_component
    )


def trace(case: Case) -> Trace:
    """Every block of memory of a call of one arm in steady state. Raises like ``predict``."""
    if case.arm.compile != "eager":
        raise InputError(
            f"memory of arm {case.arm.compile!r} cannot be predicted: the compiler decides what is "
            "kept; expected eager"
        )
    widened = _CudaAutocast() if case.workload.device == "cuda" else nullcontext()
    with FakeTensorMode(), widened:
        arm = _on_shapes(case)
        tracker = Tracker(_GRANULE_BYTES[case.workload.device])
        with tracker, OpenedFastPath(case.workload.device):
            tracker.name("inputs", arm.inputs.tensors().values(), _INPUT)
            with arm.surroundings():
                arm.once()
                _name_kept(arm, tracker)
                steady = tracker.events
                with _named_in_time(arm, tracker) as phases, component_ranges(arm, tracker.inside):
                    arm.once()
    return Trace(blocks=tracker.blocks(since=steady), since=steady, phases=phases)


def _on_shapes(case: Case) -> Candidate:
    """The arm without memory, on a CPU: fake tensors of a GPU know no backward without one."""
    levels = case.arm
    if case.workload.device == "cuda":
        levels = replace(levels, optimizer=_CUDA_OPTIMIZERS.get(levels.optimizer, levels.optimizer))
    arm = build_candidate(levels, replace(case.workload, device="cpu"))
    # The scale of the loss takes no memory worth counting, and adjusting it needs real numbers.
    arm.scaler = torch.GradScaler("cpu", enabled=False)
    return arm


def _name_kept(arm: Candidate, tracker: Tracker) -> None:
    """Say what lives between two calls: parameters, their gradients, the optimizer's state."""
    states = arm.optimizer.state if arm.optimizer else {}
    for component, parameters in parameters_by_component(arm).items():
        tracker.name("parameters", parameters, component)
        tracker.name("gradients", _gradients(parameters), component)
        kept = (value for each in parameters for value in states.get(each, {}).values())
        tracker.name("optimizer", (each for each in kept if isinstance(each, Tensor)), component)


def _gradients(parameters: Iterable[nn.Parameter]) -> Iterator[Tensor]:
    return (each.grad for each in parameters if each.grad is not None)


@contextmanager
def _named_in_time(arm: Candidate, tracker: Tracker) -> Iterator[dict[str, int]]:
    """Tell activations from temporaries at the end of forward, and gradients before the step.

    Inference keeps nothing for backward. Gives the events at which forward, backward and the
    optimizer begin, once they did.
    """
    phases = {"forward": tracker.events}

    def forward_ends(*_: object) -> None:
        tracker.rename("temporaries", "activations")
        phases["backward"] = tracker.events

    def step_begins(*_: object) -> None:
        for component, parameters in parameters_by_component(arm).items():
            tracker.name("gradients", _gradients(parameters), component)
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
