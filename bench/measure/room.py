"""How much memory a device has left for a case."""

from pathlib import Path

from bench.measure.cgroup import group_folders, memory_limit_bytes
from bench.measure.host import listed_bytes

_MEMINFO = Path("/proc/meminfo")


def room_bytes(device: str) -> int | None:
    """Bytes that are free; None where the device is not here or does not tell."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    limits = (listed_bytes(_MEMINFO, "MemAvailable"), memory_limit_bytes(group_folders("memory")))
    return min((each for each in limits if each is not None), default=None)
