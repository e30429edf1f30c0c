"""What a call takes of memory when it runs: torch's allocator, the driver, the kernel."""

from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path

from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from bench.measure.host import listed_bytes

_STATUS = Path("/proc/self/status")
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


def reset_peak_resident() -> bool:
    """Start the peak of resident memory anew; whether the kernel allows it."""
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak_resident_bytes() -> int | None:
    """Most bytes of this process that were in main memory since the reset; None without Linux."""
    return listed_bytes(_STATUS, "VmHWM")
