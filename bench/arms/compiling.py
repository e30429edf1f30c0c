"""torch.compile as an arm: what this machine lacks for it, and what its cache on disk holds."""

import os
import shutil
import time
from functools import cache
from pathlib import Path

import torch
from torch import nn

from bench.files.run_folder import digest
from bench.records.errors import UnavailableError
from bench.timing.device import forget_imports

# Arms that differ by what the compiler is told to strive for.
_MODES = {"reduce_overhead": "reduce-overhead", "max_autotune": "max-autotune"}
COLD, WARM = "cold", "warm"
# Beside what the compiler made of an arm: that it is all there.
_WHOLE = "whole"
_START = "start"


def missing_compiler() -> str | None:
    """Why torch.compile cannot work here, with the remedy; None where it can."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler):
        return None
    return (
        f"no C++ compiler: {compiler!r} is not on the PATH; install one "
        "(Debian: apt-get install g++) or name yours in CXX"
    )


def compile_in_place(module: nn.Module, how: str) -> None:
    """Compile in place; each shape gets its own code, so that a check never slows the timing."""
    if how == "eager":
        return
    if reason := missing_compiler():
        raise UnavailableError(reason)
    torch.compiler.reset()
    blocks = getattr(module, "blocks", [module]) if how == "compile_blocks" else [module]
    for part in blocks:
        part.compile(dynamic=False, mode=_MODES.get(how))


@cache
def start_compiler(folder: Path, device: str) -> float:
    """Load the compiler and have it compile something small, once a process; the seconds it took.

    The first arm to be compiled would otherwise pay for what all of them need: Python's own part of
    the compiler, its look at the processor, precompiled headers. ``folder`` holds every cache.
    """
    start_s = time.perf_counter()
    keep_compiled(folder, _START)
    layers = (nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU())
    module = nn.Sequential(*layers).eval().to(device)
    module.compile(dynamic=False)
    with torch.inference_mode():
        module(torch.zeros(4, 64, device=device))
    compiled_whole(folder, _START)
    forget_imports()
    return time.perf_counter() - start_s


def keep_compiled(folder: Path, key: str) -> str:
    """Have the compiler keep its code in a folder of its own; whether that is cold or warm.

    What it still holds in this process is forgotten, as if the process were a fresh one, and what
    one that was killed had half made is removed: it would make a first call neither.
    """
    from torch._inductor.utils import clear_caches

    own = _own(folder, key)
    state = WARM if (own / _WHOLE).exists() else COLD
    if state == COLD:
        shutil.rmtree(own, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(own)
    os.environ["TRITON_CACHE_DIR"] = str(own / "triton")
    clear_caches()
    return state


def compiled_whole(folder: Path, key: str) -> None:
    """Note that the first call has ended: from now on that folder is warm."""
    own = _own(folder, key)
    own.mkdir(parents=True, exist_ok=True)
    (own / _WHOLE).touch()


def _own(folder: Path, key: str) -> Path:
    return folder / digest(key.encode())[:16]
