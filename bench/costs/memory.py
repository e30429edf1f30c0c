"""What an arm that stands ready takes of memory in steady state."""

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
from bench.records.arm_costs import Measured
from bench.records.call_profile import RANGE
from bench.timing.device import fresh_memory, peak_bytes

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_CLEAR = Path("/proc/self/clear_refs")
# Writing this resets the peak of resident memory: proc(5).
_RESET_PEAK = "5"


def live_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind tensors, each counted once."""
    storages = (each.untyped_storage() for each in tensors)
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def peak_tensor_bytes(call: Callable[[], object], before_bytes: int) -> int:
    """Most bytes that the CPU's allocator had given out during a call.

    ``before_bytes`` are those of the tensors that live already.
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


def watch_allocations(
    call: Callable[[], object], device: str
) -> tuple[list[tuple[int, int]], list[tuple[int, int, str]]]:
    """What a call allocates and frees on a device, and the ranges of components around it.

    Changes are nanoseconds and signed bytes, ranges begin, end and the component's name.
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
    """Start the peak of resident memory anew; whether the kernel allows it."""
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def resident_bytes() -> int:
    """Return the bytes of this process that are in main memory now."""
    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Have the C library return what earlier cases freed: it would be counted as the next one's."""
    gc.collect()
    # Others than glibc have no such function, or no library by this name.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Ground:
    """What stands under each case of a process that does several, one after the other.

    A case alone has under it the process as it was before the first one, and the compiler where it
    compiles; what is left of earlier cases is no part of it.
    """

    def __init__(self) -> None:
        self.bare_bytes = self.before_bytes = resident_bytes()
        self.compiler_bytes: int | None = None
        self.extra_bytes = 0

    def begin(self) -> None:
        """A case is about to be built."""
        give_back()
        self.before_bytes, self.extra_bytes = resident_bytes(), 0

    def compiler(self, start: Callable[[], object]) -> None:
        """Have the compiler loaded: what that took is part of every case that compiles."""
        before = resident_bytes()
        start()
        after = resident_bytes()
        if self.compiler_bytes is not None:
            self.extra_bytes = self.compiler_bytes
        else:
            self.compiler_bytes = after - before

    def alone(self, peak_bytes: int | None) -> int | None:
        """The peak that a process would have had that did this case alone."""
        if peak_bytes is None:
            return None
        return peak_bytes - self.before_bytes + self.bare_bytes + self.extra_bytes


def peak_resident_bytes() -> int | None:
    """Return the peak of resident memory since the reset, in bytes; None without Linux.

    psutil has no such figure; that of ``getrusage`` cannot be reset.
    """
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


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
