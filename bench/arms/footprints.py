"""What an arm that stands ready takes of memory in steady state."""

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.arms.candidates import Candidate
from bench.footprint import Measured
from bench.measure.allocations import (
    give_back,
    live_bytes,
    peak_resident_bytes,
    peak_tensor_bytes,
    reset_peak_resident,
)
from bench.measure.gpu import torch_gpu
from bench.measure.memory import fresh_memory, peak_bytes


def memory_of(arm: Candidate) -> Measured:
    """Peaks of memory during a call of an arm that was called before, inside its surroundings."""
    return _on_cuda(arm) if arm.device == "cuda" else _on_cpu(arm)


def _on_cpu(arm: Candidate) -> Measured:
    resident = None
    give_back()
    if reset_peak_resident():
        arm.once()
        resident = peak_resident_bytes()
    # The profiler takes memory itself, so it watches another call; of what lived before it began it
    # does not see the end, and a step begins by freeing the gradients of the one before.
    arm.forget_gradients()
    allocated = peak_tensor_bytes(arm.once, live_bytes(kept(arm)))
    return Measured(allocated_bytes=allocated, process_bytes=resident)


def _on_cuda(arm: Candidate) -> Measured:
    fresh_memory("cuda")
    arm.once()
    torch.cuda.synchronize()
    return Measured(
        allocated_bytes=peak_bytes("cuda"),
        reserved_bytes=torch.cuda.max_memory_reserved(),
        process_bytes=_driver_bytes(),
    )


def _driver_bytes() -> int | None:
    try:
        return torch_gpu().process_bytes()
    except OSError:
        return None


def kept(arm: Candidate) -> Iterator[Tensor]:
    """Every tensor that lives between two calls."""
    yield from arm.module.parameters()
    yield from arm.module.buffers()
    yield from arm.inputs.tensors().values()
    yield from arm.optimizer_state()
