"""Predicts the memory of a call by running it on shapes alone, on a machine without its device.

The call is the very step that is measured (``Candidate.once``), run twice on fake tensors: the
second step is the steady state, in which gradients and the optimizer's state are there.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from bench.analysis.lifetimes import peak
from bench.arms.building import build_candidate
from bench.arms.candidates import Candidate
from bench.arms.tracing import Tracker
from bench.footprint import Case, Predicted
from bench.record import InputError

# The step in which torch's allocator gives memory: c10/cuda/CUDACachingAllocator.h, kMinBlockSize.
_GRANULE_BYTES = {"cpu": 1, "cuda": 512}
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


def predict(case: Case) -> Predicted:
    """Bytes that live at the peak of a call of one arm in steady state.

    Raises InputError for a compiled arm: what a compiler fuses away is not told by shapes.
    """
    if case.arm.compile != "eager":
        raise InputError(
            f"memory of arm {case.arm.compile!r} cannot be predicted: the compiler decides what is "
            "kept; expected eager"
        )
    widened = _CudaAutocast() if case.workload.device == "cuda" else nullcontext()
    with FakeTensorMode(), widened:
        arm = _on_shapes(case)
        tracker = Tracker(_GRANULE_BYTES[case.workload.device])
        with tracker:
            tracker.name("parameters", arm.module.parameters())
            tracker.name("inputs", arm.inputs.tensors().values())
            with arm.surroundings():
                arm.once()
                tracker.name("optimizer", arm.optimizer_state())
                steady = tracker.events
                with _named_in_time(arm, tracker):
                    arm.once()
    found = peak(tracker.blocks(since=steady))
    return Predicted(total_bytes=found.total_bytes, by_kind=found.by_kind)


def _on_shapes(case: Case) -> Candidate:
    """The arm without memory, on a CPU: fake tensors of a GPU know no backward without one."""
    levels = case.arm
    if case.workload.device == "cuda":
        levels = replace(levels, optimizer=_CUDA_OPTIMIZERS.get(levels.optimizer, levels.optimizer))
    arm = build_candidate(levels, replace(case.workload, device="cpu"))
    # The scale of the loss takes no memory worth counting, and adjusting it needs real numbers.
    arm.scaler = torch.GradScaler("cpu", enabled=False)
    return arm


@contextmanager
def _named_in_time(arm: Candidate, tracker: Tracker) -> Iterator[None]:
    """Tell activations from temporaries at the end of forward, and gradients before the step."""

    def forward_ends(*_: object) -> None:
        tracker.rename("temporaries", "activations")

    def step_begins(*_: object) -> None:
        tracker.name("gradients", (p.grad for p in arm.module.parameters() if p.grad is not None))

    hooks = [arm.module.register_forward_hook(forward_ends)]
    if arm.optimizer:
        hooks.append(arm.optimizer.register_step_pre_hook(step_begins))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
