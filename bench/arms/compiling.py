"""torch.compile as an arm, and what this machine lacks for it."""

import os
import shutil

import torch
from torch import nn


class UnavailableError(RuntimeError):
    """The arm cannot run on this machine; the message says what to install or change."""


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
        part.compile(dynamic=False)
