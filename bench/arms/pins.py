"""Pins what PyTorch would choose by itself: the kernel of attention, the layout of images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.backends import cuda, mha

from bench.arms.precision import Context

# What tells whether PyTorch may use something, and what lets it or not. A timed call pays for them:
# torch.nn.attention.sdpa_kernel, which does the same, takes 8 microseconds.
_Switch = tuple[Callable[[], bool], Callable[[bool], None]]

_FAST_PATH: _Switch = (mha.get_fastpath_enabled, mha.set_fastpath_enabled)
# They are named after CUDA, and heeded on a CPU as well.
_BACKENDS: dict[str, _Switch] = {
    "flash": (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
    "efficient": (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
    "cudnn": (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
    "math": (cuda.math_sdp_enabled, cuda.enable_math_sdp),
}
_IMAGE_AXES = 4


def pinned_kernel(name: str) -> Context:
    """What holds attention to one kernel; ``auto`` leaves the choice to PyTorch.

    A backend of scaled_dot_product_attention, which nn.MultiheadAttention then has to call, or no
    fast path of nn.MultiheadAttention.
    """
    if name == "no_fast_path":
        return partial(_switched, ((_FAST_PATH, False),))
    if name in _BACKENDS:
        only = ((switch, each == name) for each, switch in _BACKENDS.items())
        return partial(_switched, ((_FAST_PATH, False), *only))
    return nullcontext


@contextmanager
def _switched(wanted: tuple[tuple[_Switch, bool], ...]) -> Iterator[None]:
    """Switches as wanted inside, and as they were afterwards."""
    before = [is_on() for (is_on, _), _ in wanted]
    try:
        for (_, switch), on in wanted:
            switch(on)
        yield
    finally:
        for ((_, switch), _), on in zip(wanted, before, strict=True):
            switch(on)


def lay_out(module: nn.Module, layout: str) -> None:
    """Give a module's convolutions their layout in memory, in place."""
    if layout == "channels_last":
        module.to(memory_format=torch.channels_last)


def laid_out(value: Tensor, layout: str) -> Tensor:
    """An image_BCHW in a layout; any other tensor as it is."""
    if layout == "channels_last" and value.dim() == _IMAGE_AXES:
        return value.contiguous(memory_format=torch.channels_last)
    return value
