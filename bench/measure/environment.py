"""What this machine is: ``python -m bench.measure.environment`` prints it as one JSON object.

It runs as a process of its own, so that the program that starts the passes never loads torch.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.record import Environment

_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "avx512_fp16")
_HERE = Path(__file__).parent
_PACKAGES = ("torch", "numpy", "pytest", "pytest-benchmark", "vitbench")


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", text, flags=re.MULTILINE))


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def git(*arguments: str, folder: Path = _HERE) -> str | None:
    """Output of a git command about the code that is measured; None where git does not know it.

    An installed package may lie inside somebody else's repository, which does not track it.
    """
    program = shutil.which("git")
    if program is None:
        return None
    known = [program, "-C", str(folder), "ls-files", "--error-unmatch", "."]
    command = [program, "-C", str(folder), *arguments]
    for each in (known, command):
        done = subprocess.run(each, capture_output=True, text=True, check=False)
        if done.returncode:
            return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    """A package's version; None where it runs from its source tree."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu_driver() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def read_environment() -> Environment:
    """Look at this machine. Loads torch, and says how long that took."""
    start_s = time.perf_counter()
    import torch

    import_torch_s = time.perf_counter() - start_s
    from bench.measure.caches import last_level_cache_bytes

    info, status = _cpuinfo(), git("status", "--porcelain")
    flags = info.get("flags", "").split()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return Environment(
        host=platform.node(),
        os=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        torch_build=torch.__config__.show(),
        cpu=info.get("model name") or platform.processor() or platform.machine(),
        cpu_flags=tuple(flag for flag in _TELLING_FLAGS if flag in flags),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        memory_bytes=_memory_bytes(),
        last_level_cache_bytes=last_level_cache_bytes(),
        cxx=shutil.which(os.environ.get("CXX", "g++")),
        gpus=tuple(torch.cuda.get_device_name(index) for index in gpus),
        gpu_driver=_gpu_driver() if gpus else None,
        cuda=torch.version.cuda if gpus else None,
        commit=git("rev-parse", "HEAD"),
        dirty=None if status is None else bool(status),
        packages={name: _version(name) for name in _PACKAGES},
        import_torch_s=import_torch_s,
    )


if __name__ == "__main__":
    json.dump(asdict(read_environment()), sys.stdout)
