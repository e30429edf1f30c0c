"""Caches, memory and state of a device."""

import atexit
import gc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

# Assumed if the size of the cache is unknown: a large one.
_UNKNOWN_CACHE_BYTES = 64 * 2**20
_CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def last_level_cache_bytes() -> int | None:
    """Return the size of the CPU's last-level cache in bytes; None if unknown."""
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
    """Return a function that evicts the last-level cache by streaming twice its size through it.

    On a CPU it reads, since modified lines would be written back during the timed call.
    """
    size = 2 * cache_bytes(device)
    with torch.inference_mode(mode=False):
        if device == "cuda":
            return torch.empty(size, dtype=torch.int8, device=device).zero_
        return torch.ones(size // 4).sum


def cache_bytes(device: str) -> int:
    """Return the size of a device's last-level cache in bytes; a large one if it is unknown."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).L2_cache_size)
    return last_level_cache_bytes() or _UNKNOWN_CACHE_BYTES


def forget_imports() -> None:
    """Exclude all current objects from garbage collection, in a worker after its imports.

    Scanning torch's modules takes a quarter of a second each time. At exit they are included again,
    since some libraries warn of objects that are never freed.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def fresh_memory(device: str) -> None:
    """Free what earlier cases left, and reset the peak."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_bytes(device: str) -> int | None:
    """Return the peak of allocated bytes since ``fresh_memory``; None on a CPU."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None


def synchronize(device: str) -> None:
    """Wait until the device has finished its queued work."""
    if device == "cuda":
        torch.cuda.synchronize()


def is_lost(device: str) -> bool:
    """Return whether an error made the device unusable for this process, e.g. a CUDA assertion."""
    try:
        synchronize(device)
    except RuntimeError:
        return True
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception is a failed allocation, on the GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    texts = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
