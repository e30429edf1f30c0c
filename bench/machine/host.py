"""The processor, memory and limits of this process, as fields of Environment. No torch."""

import os
import platform
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# Version 1 has no word for "no limit" but writes its largest number of pages.
_UNLIMITED_BYTES = 2**60
# Instruction sets that decide the speed of a precision: of x86, then of Arm.
_PRECISION_FLAGS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimdhp", "asimddp", "sve", "bf16", "i8mm"),
)
# Environment variables that change how torch computes, on how many threads and on which cores.
_VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY"),
    *("GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "KMP_AFFINITY", "KMP_BLOCKTIME"),
    *("MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
    *("ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA"),
    *("ATEN_CPU_CAPABILITY", "MALLOC_CONF", "LD_PRELOAD"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
)
_ROOT = Path("/")


def room_bytes(device: str) -> int | None:
    """Return the bytes that are free on ``cpu`` or ``cuda``; None without such a device."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    available, limit = (
        psutil.virtual_memory().available,
        memory_limit_bytes(group_folders("memory")),
    )
    return available if limit is None else min(available, limit)


def group_folders(controller: str, *, root: Path = _GROUPS, own: Path = _OWN) -> list[Path]:
    """Return the folders of this process's control group and of its parents, innermost first.

    ``controller`` only matters to version 1, where each has its own tree. A container may see its
    own group as the root of the tree, so folders that do not exist are skipped. Empty on a system
    without control groups.
    """
    found: list[Path] = []
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            base = root / controller if controllers else root
            inner = base / name.lstrip("/")
            around = [inner, *inner.parents]
            found += [each for each in around[: around.index(base) + 1] if each.is_dir()]
    return found


def quota_cores(folders: list[Path]) -> float | None:
    """Return the smallest quota of processor time, in cores; None without a quota."""
    quotas = [_quota(folder) for folder in folders]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes(folders: list[Path]) -> int | None:
    """Return the smallest memory limit, in bytes; None without a limit."""
    words = [
        word
        for folder in folders
        for name in ("memory.max", "memory.limit_in_bytes")
        for word in _words(folder / name)
    ]
    limits = [int(word) for word in words if word.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED_BYTES), default=None)


def throttling_files(folders: list[Path]) -> list[Path]:
    """Return the statistics files of the groups with a quota, which can be throttled."""
    files = [folder / "cpu.stat" for folder in folders if _quota(folder) is not None]
    return [file for file in files if file.exists()]


def _quota(folder: Path) -> float | None:
    """Return the quota of one group, in cores."""
    quota = _words(folder / "cpu.max") or (
        _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    )
    limited = len(quota) == 2 and all(word.isdecimal() for word in quota)  # noqa: PLR2004 (a pair)
    return int(quota[0]) / int(quota[1]) if limited else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def host_facts(root: Path = _ROOT) -> dict[str, Any]:
    """Return this machine's facts and this process's limits, from the files below ``root``."""
    groups, own = root / "sys/fs/cgroup", root / "proc/self/cgroup"
    clocks = root / "sys/devices/system/cpu"
    return {
        **processor(_text(root / "proc/cpuinfo")),
        "cores": len(_allowed_cores()),
        "cores_total": os.cpu_count(),
        "cores_physical": psutil.cpu_count(logical=False),
        "quota_cores": quota_cores(group_folders("cpu", root=groups, own=own)),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_limit_bytes": memory_limit_bytes(group_folders("memory", root=groups, own=own)),
        "governor": governor(clocks, _allowed_cores()),
        "turbo": turbo(clocks),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "load_1min": _load_1min(),
        "waiting_percent": waiting_percent(_text(root / "proc/pressure/cpu")),
    }


def processor(cpuinfo: str) -> dict[str, Any]:
    """Return the model and the flags that decide about precisions, from the text of /proc/cpuinfo.

    psutil gives neither.
    """
    last = dict(re.findall(r"^([\w ]+?)\s*:[ \t]*(.*)$", cpuinfo, flags=re.MULTILINE))
    flags = (last.get("flags") or last.get("Features") or "").split()
    return {
        "cpu": last.get("model name") or platform.processor() or platform.machine(),
        "cpu_flags": tuple(flag for flag in _PRECISION_FLAGS if flag in flags),
    }


def governor(clocks: Path, cores: Collection[int]) -> str | None:
    """Return the clock governors of these cores: ``performance``, ``powersave`` or several."""
    files = [clocks / f"cpu{core}/cpufreq/scaling_governor" for core in cores]
    return ", ".join(sorted({_text(file).strip() for file in files} - {""})) or None


def turbo(clocks: Path) -> bool | None:
    """Return whether the clock may rise above its nominal value; None if unknown."""
    off, on = (_text(clocks / name).strip() for name in ("intel_pstate/no_turbo", "cpufreq/boost"))
    return {"0": True, "1": False}.get(off, {"0": False, "1": True}.get(on))


def waiting_percent(pressure: str) -> float | None:
    """Return the percentage of the last ten seconds in which a process waited.

    ``pressure`` is the text of a file of /proc/pressure. None without one.
    """
    found = re.match(r"some avg10=([\d.]+)", pressure)
    return float(found[1]) if found else None


def _allowed_cores() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _load_1min() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _text(file: Path) -> str:
    """Return a file's text; empty if this machine lacks it."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
