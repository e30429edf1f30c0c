"""What a precision is in torch: types, autocast, and whether float32 products are TF32."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch

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
