"""Memory of one case on the device."""

import atexit
import gc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

# A machine that does not tell its cache is taken to have a large one.
_UNKNOWN_CACHE_BYTES = 64 * 2**20
_CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def last_level_cache_bytes() -> int | None:
    """Size of the CPU's last-level cache; None where Linux does not tell."""
    sizes = [
        int(text.read_text().strip().removesuffix("K")) * 1024
        for text in _CPU_CACHES.glob("index*/size")
    ]
    return max(sizes, default=None)


def found_devices() -> tuple[str, ...]:
    """Return the devices that torch finds on this machine, ``cpu`` first."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@cache
def flusher(device: str) -> Callable[[], object]:
    """A function that evicts the last-level cache by streaming twice its size through it.

    On a CPU it reads, because written lines would go back to memory inside the timed call.
    """
    if device == "cuda":
        size = 2 * torch.cuda.get_device_properties(0).L2_cache_size
        return torch.empty(size, dtype=torch.int8, device=device).zero_
    size = 2 * (last_level_cache_bytes() or _UNKNOWN_CACHE_BYTES)
    return torch.ones(size // 4).sum


def forget_imports() -> None:
    """Let the collector pass over what is there now: a process of the suite's own, all imported.

    Looking through torch's modules takes a quarter of a second each time. At the end they are to be
    seen again: libraries complain of what nobody gives back.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def fresh_memory(device: str) -> None:
    """Give back what earlier cases left, and start the peak anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_bytes(device: str) -> int | None:
    """Peak of allocated bytes since ``fresh_memory``; None where the device does not tell."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def is_lost(device: str) -> bool:
    """Whether an error left the device unusable for this process, as a CUDA assertion does."""
    try:
        synchronize(device)
    except RuntimeError:
        return True
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is an allocation that failed, on the GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    texts = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
