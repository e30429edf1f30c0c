"""Steps in which an arm is made ready: seeds, devices, types, contexts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from bench.arms.inputs import Inputs
from bench.arms.levels import Context


@contextmanager
def seeded(device: str) -> Iterator[None]:
    """Seed the random generators inside the block and restore the caller's state afterwards."""
    with torch.random.fork_rng([0] if device == "cuda" else []):
        torch.manual_seed(0)
        yield


def move(module: nn.Module, device: str, dtype: torch.dtype | None) -> None:
    """Move a module to the device and convert its floating-point parameters and buffers.

    Complex tensors keep their type.
    """
    if any(each.device.type != device for each in (*module.parameters(), *module.buffers())):
        module.to(device)
    for tensor in [*module.parameters(), *module.buffers()]:
        if dtype and tensor.is_floating_point() and tensor.dtype != dtype:
            tensor.data = tensor.data.to(dtype)


def pinned(step: Callable[[], object], *contexts: Context) -> Callable[[], object]:
    """Wrap a step so that each call enters the contexts."""
    for context in contexts:
        if context is not nullcontext:
            step = _inside(context, step)
    return step


def _inside(context: Context, step: Callable[[], object]) -> Callable[[], object]:
    def inside() -> object:
        with context():
            return step()

    return inside


def dtype_for(module: nn.Module, inputs: Inputs) -> torch.dtype | None:
    """Return the type that inputs take from a module; None where the user chose types for it."""
    dtype = next((each.dtype for each in module.parameters() if each.is_floating_point()), None)
    given = {each.dtype for each in inputs.tensors().values()}
    return None if dtype in given else dtype
