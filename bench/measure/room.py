"""How much memory a device has left for a case."""

import re
from pathlib import Path

from bench.measure.cgroup import group_folders, memory_limit_bytes

_MEMINFO = Path("/proc/meminfo")


def room_bytes(device: str) -> int | None:
    """Bytes that are free; None where the device is not here or does not tell."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    try:
        text = _MEMINFO.read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    free = int(found[1]) * 1024 if found else None
    limits = [
        each for each in (free, memory_limit_bytes(group_folders("memory"))) if each is not None
    ]
    return min(limits, default=None)
