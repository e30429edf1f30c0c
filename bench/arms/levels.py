"""Levels of an arm in torch: precision, attention kernel, image layout, optimizer, loss.

Axes: B batch, L classes, C channels, H and W rows and columns, X any axes of an output.
"""

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
from bench.arms.trees import opaque
from bench.records.errors import InputError

Context = Callable[[], AbstractContextManager[object]]

# Type of parameters and inputs. Without an entry (integers) they keep the type they were made in.
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
# Getter and setter of a PyTorch switch. They run inside the timed call, and are cheap:
# torch.nn.attention.sdpa_kernel, which does the same, takes 8 microseconds.
_Switch = tuple[Callable[[], bool], Callable[[bool], None]]
_FAST_PATH: _Switch = (mha.get_fastpath_enabled, mha.set_fastpath_enabled)
# Named after CUDA, but effective on a CPU as well.
_BACKENDS: dict[str, _Switch] = {
    "flash": (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
    "efficient": (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
    "cudnn": (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
    "math": (cuda.math_sdp_enabled, cuda.enable_math_sdp),
}
_IMAGE_AXES = 4
Loss = Callable[[Any], Tensor]
# ``adamw`` leaves the implementation to torch: foreach on CUDA, a loop over parameters on a CPU.
_OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "adamw": AdamW,
    "adamw_loop": partial(AdamW, foreach=False, fused=False),
    "adamw_foreach": partial(AdamW, foreach=True),
    "adamw_fused": partial(AdamW, fused=True),
    "sgd": partial(SGD, lr=1e-3, momentum=0.9),
}


def dtype_of(precision: str) -> torch.dtype | None:
    """Return the type of parameters and inputs; None if they keep the type they were made in."""
    return _DTYPES.get(precision)


@contextmanager
def tf32() -> Iterator[None]:
    """Allow TF32 products inside the block, and full float32 products afterwards."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        pin_precision()


def pin_precision() -> None:
    """Compute float32 products in full precision everywhere, so that fp32 means fp32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def pinned_precision() -> Iterator[None]:
    """Compute float32 products in full precision inside the block; restore the caller's setting."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    pin_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def autocast(precision: str, device: str) -> Context:
    """Return the autocast context of a precision, or a null context."""
    if precision in _AUTOCAST:
        return partial(torch.autocast, device, dtype=_AUTOCAST[precision])
    return nullcontext


def pinned_kernel(name: str) -> Context:
    """Return the context that pins attention to one kernel; ``auto`` leaves the choice to PyTorch.

    A kernel is a backend of scaled_dot_product_attention, which nn.MultiheadAttention then has to
    call, or ``no_fast_path``: nn.MultiheadAttention without its fast path.
    """
    if name == "no_fast_path":
        return partial(_switched, ((_FAST_PATH, False),))
    if name in _BACKENDS:
        only = ((switch, each == name) for each, switch in _BACKENDS.items())
        return partial(_switched, ((_FAST_PATH, False), *only))
    return nullcontext


@contextmanager
def _switched(wanted: tuple[tuple[_Switch, bool], ...]) -> Iterator[None]:
    """Set switches inside the block and restore them afterwards."""
    before = [is_on() for (is_on, _), _ in wanted]
    try:
        for (_, switch), on in wanted:
            switch(on)
        yield
    finally:
        for ((_, switch), _), on in zip(wanted, before, strict=True):
            switch(on)


def lay_out(module: nn.Module, layout: str) -> None:
    """Convert a module's weights to a memory layout, in place."""
    if layout == "channels_last":
        module.to(memory_format=torch.channels_last)


def laid_out(value: Tensor, layout: str) -> Tensor:
    """Return an image_BCHW in a memory layout; other tensors stay as they are."""
    if layout == "channels_last" and value.dim() == _IMAGE_AXES:
        return value.contiguous(memory_format=torch.channels_last)
    return value


def checkpoint_blocks(module: nn.Module) -> None:
    """Make each block recompute its activations in backward, in place."""
    for block in getattr(module, "blocks", [module]):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def optimizer_of(name: str, parameters: Iterable[Tensor]) -> Optimizer:
    """Create the optimizer of this name for ``parameters``."""
    return _OPTIMIZERS[name](parameters)


def cross_entropy(logits_BL: Tensor) -> Tensor:
    """Return the classifier's loss for labels that cycle through the classes."""
    label_B = torch.arange(len(logits_BL), device=logits_BL.device) % logits_BL.shape[1]
    return F.cross_entropy(logits_BL, label_B)


def half_mean_squares(output: object) -> Tensor:
    """Return a loss for modules other than classifiers: half mean squares, summed over outputs.

    Raises InputError if no floating-point output depends on a parameter or an input.
    """
    parts = [_half_mean_square(x) for _, x in leaves(output, "output") if x.is_floating_point()]
    if not any(part.requires_grad for part in parts):
        if hidden := opaque(output, "output"):
            raise InputError(f"{hidden}; return these in a tuple, a dict or a dataclass")
        raise InputError(
            "no output depends on a parameter or an input that needs a gradient; expected one to "
            "train: measure --mode forward"
        )
    return sum(parts[1:], parts[0])


def _half_mean_square(x_BX: Tensor) -> Tensor:
    """Return half the mean square in float32 at least, as autocast computes losses."""
    wide = torch.promote_types(x_BX.dtype, torch.float32)
    return x_BX.to(wide).square().mean() / 2
