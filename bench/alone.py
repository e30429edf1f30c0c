"""One case alone in a process: ``python -m bench.alone CASE`` prints what it took of memory.

The case and the answer are JSON.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from bench.arms.building import build_candidate
from bench.arms.candidates import Candidate
from bench.arms.failures import failure
from bench.arms.precision import pinned_precision
from bench.footprint import Case, Measured
from bench.measure.allocations import (
    live_bytes,
    peak_resident_bytes,
    peak_tensor_bytes,
    reset_peak_resident,
)
from bench.measure.gpu import torch_gpu
from bench.measure.memory import fresh_memory, peak_bytes
from bench.store import record_from


def measure(case: Case) -> Measured:
    """Build one arm and look at its memory in steady state: after a first call."""
    look = _on_cuda if case.workload.device == "cuda" else _on_cpu
    try:
        with pinned_precision():
            arm = build_candidate(case.arm, case.workload)
            with arm.surroundings():
                arm.once()
                return look(arm)
    except Exception as error:  # noqa: BLE001 (whatever an arm raises is its result)
        status, said = failure(error)
        return Measured(status=status, error=said)


def _on_cpu(arm: Candidate) -> Measured:
    resident = None
    if reset_peak_resident():
        arm.once()
        resident = peak_resident_bytes()
    # The profiler takes memory itself, so it watches another call; of what lived before it began it
    # does not see the end, and a step begins by freeing the gradients of the one before.
    arm.forget_gradients()
    allocated = peak_tensor_bytes(arm.once, live_bytes(_kept(arm)))
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


def _kept(arm: Candidate) -> Iterator[Tensor]:
    """Every tensor that lives between two calls."""
    yield from arm.module.parameters()
    yield from arm.module.buffers()
    yield from arm.inputs.tensors().values()
    yield from arm.optimizer_state()


def main() -> None:
    """Measure the case that the command line names."""
    case = record_from(json.loads(sys.argv[1]), Case)
    sys.stdout.write(json.dumps(asdict(measure(case))) + "\n")


if __name__ == "__main__":
    main()
