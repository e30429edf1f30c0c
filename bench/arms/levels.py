"""What a precision is in torch: types, autocast, and whether float32 products are TF32."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import cuda, mha
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.checkpoint import checkpoint

from bench.arms.tensors import leaves
from bench.records.errors import InputError

Context = Callable[[], AbstractContextManager[object]]

# The type of parameters and inputs; with a precision that is not here (whole numbers) they stay as
# they were made.
_DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "amp_bf16": torch.float32,
    "amp_fp16": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_AUTOCAST = {"amp_bf16": torch.bfloat16, "amp_fp16": torch.float16}


def dtype_of(precision: str) -> torch.dtype | None:
    """The type of parameters and inputs; None where they stay as they were made."""
    return _DTYPES.get(precision)


@contextmanager
def tf32() -> Iterator[None]:
    """TF32 products inside, full float32 products again afterwards."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        pin_precision()


def pin_precision() -> None:
    """Full float32 products everywhere, so that fp32 means fp32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def pinned_precision() -> Iterator[None]:
    """Full float32 products inside; afterwards as the caller had it."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    pin_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def autocast(precision: str, device: str) -> Context:
    """The autocast of a precision, or nothing."""
    if precision in _AUTOCAST:
        return partial(torch.autocast, device, dtype=_AUTOCAST[precision])
    return nullcontext


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


Loss = Callable[[Any], Tensor]

# ``adamw`` is what torch chooses by itself: foreach on CUDA, a loop over parameters on a CPU.
_OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "adamw": AdamW,
    "adamw_loop": partial(AdamW, foreach=False, fused=False),
    "adamw_foreach": partial(AdamW, foreach=True),
    "adamw_fused": partial(AdamW, fused=True),
    "sgd": partial(SGD, lr=1e-3, momentum=0.9),
}


def checkpoint_blocks(module: nn.Module) -> None:
    """Let each block of a module compute its activations again in backward, in place."""
    for block in getattr(module, "blocks", [module]):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def optimizer_of(name: str, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer of that name."""
    return _OPTIMIZERS[name](parameters)


def cross_entropy(logits_BL: Tensor) -> Tensor:
    """The classifier's loss; the labels count through the classes."""
    label_B = torch.arange(len(logits_BL), device=logits_BL.device) % logits_BL.shape[1]
    return F.cross_entropy(logits_BL, label_B)


def half_mean_squares(output: object) -> Tensor:
    """A loss for what is no classifier: the sum over all floating outputs.

    Raises InputError where no gradient could reach anything from them.
    """
    parts = [_half_mean_square(x) for _, x in leaves(output, "output") if x.is_floating_point()]
    if not any(part.requires_grad for part in parts):
        raise InputError(
            "no output depends on a parameter or an input by a gradient; expected one to train: "
            "measure --mode forward"
        )
    return sum(parts[1:], parts[0])


def _half_mean_square(x_BX: Tensor) -> Tensor:
    """At least float32, as autocast would have it."""
    wide = torch.promote_types(x_BX.dtype, torch.float32)
    return x_BX.to(wide).square().mean() / 2
