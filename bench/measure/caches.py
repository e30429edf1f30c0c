"""State of the caches: a part measured alone would keep its weights in the last-level cache."""

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
