"""torch.compile as an arm: availability on this machine, and its cache on disk."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import torch
from torch import nn

from bench.files.run_folder import digest
from bench.records.errors import UnavailableError
from bench.timing.device import forget_imports

# Arms that differ by the optimization mode of the compiler.
_MODES = {"reduce_overhead": "reduce-overhead", "max_autotune": "max-autotune"}
COLD, WARM = "cold", "warm"
# Marker file of a complete cache folder, and the key of the warm-up compile.
_COMPLETE = "whole"
_START = "start"
_TOGETHER = ContextVar("together", default=False)


def missing_compiler() -> str | None:
    """Return why torch.compile cannot work here, with the remedy; None if it can."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler):
        return None
    return (
        f"no C++ compiler: {compiler!r} is not on the PATH; install one "
        "(Debian: apt-get install g++) or name yours in CXX"
    )


def compile_in_place(module: nn.Module, how: str) -> None:
    """Compile a module in place, with static shapes, so that a check never slows the timed calls.

    Raises UnavailableError without a C++ compiler.
    """
    if how == "eager":
        return
    if reason := missing_compiler():
        raise UnavailableError(reason)
    if not _TOGETHER.get():
        torch.compiler.reset()
    blocks = getattr(module, "blocks", [module]) if how == "compile_blocks" else [module]
    for part in blocks:
        part.compile(dynamic=False, mode=_MODES.get(how))


@contextmanager
def compiled_together() -> Iterator[None]:
    """Keep the arms compiled that are compiled inside the block; forget them afterwards.

    Elsewhere a compiled arm forgets those before it: torch compiles a function only so often.
    """
    before = _TOGETHER.set(True)
    try:
        yield
    finally:
        _TOGETHER.reset(before)
        # Without a compiled arm this would load the compiler.
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()


@cache
def start_compiler(folder: Path, device: str) -> float:
    """Load the compiler, compile a small module, and return the seconds; once per process.

    Without it the first compiled arm would pay for what all of them share: loading the compiler's
    Python modules, detecting the processor, precompiling headers. ``folder`` holds every cache.
    """
    start_s = time.perf_counter()
    use_cache(folder, _START)
    layers = (nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU())
    module = nn.Sequential(*layers).eval().to(device)
    module.compile(dynamic=False)
    with torch.inference_mode():
        module(torch.zeros(4, 64, device=device))
    mark_complete(folder, _START)
    forget_imports()
    return time.perf_counter() - start_s


def use_cache(folder: Path, key: str) -> str:
    """Point the compiler to a cache folder of its own and return its state, COLD or WARM.

    Clears the compiler's caches in this process, as in a fresh one, and removes an incomplete
    folder that a killed process left: it would make a first call neither cold nor warm.
    """
    from torch._inductor.utils import clear_caches

    own = _own(folder, key)
    state = WARM if (own / _COMPLETE).exists() else COLD
    if state == COLD:
        shutil.rmtree(own, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(own)
    os.environ["TRITON_CACHE_DIR"] = str(own / "triton")
    clear_caches()
    return state


def mark_complete(folder: Path, key: str) -> None:
    """Mark a cache folder as complete after the first call: from now on it is warm."""
    own = _own(folder, key)
    own.mkdir(parents=True, exist_ok=True)
    (own / _COMPLETE).touch()


def _own(folder: Path, key: str) -> Path:
    return folder / digest(key.encode())[:16]
