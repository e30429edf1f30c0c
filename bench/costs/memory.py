"""Measure the memory of a built arm in steady state."""

import ctypes
import gc
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from bench.arms.candidate import Candidate
from bench.machine.gpu import torch_gpu
from bench.records.arm_costs import MeasuredMemory
from bench.records.call_profile import RANGE
from bench.timing.device import fresh_memory, peak_bytes

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_CLEAR = Path("/proc/self/clear_refs")
# Writing this resets the peak of resident memory: proc(5).
_RESET_PEAK = "5"


def live_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of the storages of tensors, each storage counted once."""
    storages = (each.untyped_storage() for each in tensors)
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def peak_tensor_bytes(call: Callable[[], object], before_bytes: int) -> int:
    """Return the peak bytes allocated on the CPU during a call.

    ``before_bytes`` is the size of the tensors alive before it.
    """
    # Without acc_events some releases (2.11) warn that only one cycle is kept; there is only one.
    activities = [ProfilerActivity.CPU]
    with profile(activities=activities, profile_memory=True, acc_events=True) as profiled:
        call()
    kineto = profiled.profiler.kineto_results
    events = [each for each in kineto.events() if each.name() == "[memory]"]
    events.sort(key=lambda each: each.start_ns())
    changes = (int(each.nbytes()) for each in events)
    return max(accumulate(changes, initial=before_bytes))


def trace_allocations(
    call: Callable[[], object], device: str
) -> tuple[list[tuple[int, int]], list[tuple[int, int, str]]]:
    """Return the allocations and frees of a call on a device, and the ranges of its components.

    Changes are (nanoseconds, signed bytes); ranges are (start, end, component), in nanoseconds.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities, profile_memory=True, acc_events=True) as profiled:
        call()
    events = profiled.profiler.kineto_results.events()
    changes = [
        (each.start_ns(), int(each.nbytes()))
        for each in events
        if each.name() == "[memory]" and each.device_type().name.lower() == device
    ]
    ranges = [
        (each.start_ns(), each.start_ns() + each.duration_ns(), each.name().removeprefix(RANGE))
        for each in events
        if each.name().startswith(RANGE) and each.device_type().name == "CPU"
    ]
    return sorted(changes), sorted(ranges)


def reset_peak_resident() -> bool:
    """Reset the peak of resident memory; return whether the kernel allows it."""
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def resident_bytes() -> int:
    """Return the resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def release_freed() -> None:
    """Return freed memory to the system: it would count as memory of the next case."""
    gc.collect()
    # Only glibc has this function; Windows and macOS have no library of this name.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class ProcessBaseline:
    """Baseline memory of a process that measures several cases in turn.

    A case in a process of its own would start from the memory before the first case, plus the
    compiler if it compiles; remains of earlier cases do not count.
    """

    def __init__(self) -> None:
        self.bare_bytes = self.before_bytes = resident_bytes()
        self.compiler_bytes: int | None = None
        self.extra_bytes = 0

    def begin(self) -> None:
        """Note the memory before a case is built."""
        release_freed()
        self.before_bytes, self.extra_bytes = resident_bytes(), 0

    def compiler(self, start: Callable[[], object]) -> None:
        """Load the compiler; its memory is part of every case that compiles."""
        before = resident_bytes()
        start()
        after = resident_bytes()
        if self.compiler_bytes is not None:
            self.extra_bytes = self.compiler_bytes
        else:
            self.compiler_bytes = after - before

    def alone(self, peak_bytes: int | None) -> int | None:
        """Return the peak that a process measuring only this case would have, in bytes."""
        if peak_bytes is None:
            return None
        return peak_bytes - self.before_bytes + self.bare_bytes + self.extra_bytes


def peak_resident_bytes() -> int | None:
    """Return the peak of resident memory since the reset, in bytes; None without Linux.

    psutil has no peak; the peak of ``getrusage`` cannot be reset.
    """
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def memory_of(arm: Candidate) -> MeasuredMemory:
    """Measure peak memory during a call of a warm arm, inside its surroundings."""
    return _on_cuda(arm) if arm.device == "cuda" else _on_cpu(arm)


def _on_cpu(arm: Candidate) -> MeasuredMemory:
    resident = None
    release_freed()
    if reset_peak_resident():
        arm.once()
        resident = peak_resident_bytes()
    # The profiler takes memory itself, so it observes another call. It does not see earlier
    # allocations being freed, and a step begins by freeing the gradients of the previous one.
    arm.forget_gradients()
    allocated = peak_tensor_bytes(arm.once, live_bytes(persistent_tensors(arm)))
    return MeasuredMemory(allocated_bytes=allocated, process_bytes=resident)


def _on_cuda(arm: Candidate) -> MeasuredMemory:
    fresh_memory("cuda")
    arm.once()
    torch.cuda.synchronize()
    return MeasuredMemory(
        allocated_bytes=peak_bytes("cuda"),
        reserved_bytes=torch.cuda.max_memory_reserved(),
        process_bytes=_driver_bytes(),
    )


def _driver_bytes() -> int | None:
    try:
        return torch_gpu().process_bytes()
    except OSError:
        return None


def persistent_tensors(arm: Candidate) -> Iterator[Tensor]:
    """Yield every tensor that lives between two calls."""
    yield from arm.module.parameters()
    yield from arm.module.buffers()
    yield from arm.inputs.tensors().values()
    yield from arm.optimizer_state()
