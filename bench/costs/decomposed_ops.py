"""What an operator of PyTorch's takes of memory inside itself, done again in operators that show.

On tensors without memory nobody sees what an operator in C++ makes and drops on the way. That of
nn.MultiheadAttention's fast path is in aten/src/ATen/native/transformers, softmax's in
native/transformers/attention.cpp, that of products in native/mkldnn/Matmul.cpp, mean's in
native/ReduceOps.cpp.

Axes: B batch, N tokens, D token width, A heads, K head width, S = 3 for query, key and value,
M, I, O rows, inputs and outputs of a product, X the axes of what may be any tensor.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_FAST_PATH = _ATEN._native_multi_head_attention.default  # noqa: SLF001
_SAFE_SOFTMAX = _ATEN._safe_softmax.default  # noqa: SLF001

_NEED_WEIGHTS = 10
_HALVES = (torch.bfloat16, torch.float16)
# Below so many multiplications oneDNN is not asked.
_LEAST_PRODUCT = 16**3


class OpenedFastPath(TorchDispatchMode):
    """Does the steps of the fast path, and of others, one by one, for modes below this to see."""

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator, or its steps where it is known to have some."""
        named = kwargs or {}
        if func is _FAST_PATH:
            return self._fast_path(*args)
        if func is _SAFE_SOFTMAX:
            return _safe_softmax(*args, **named)
        if self.device == "cpu" and func in _ON_CPU and args[0].dtype in _HALVES:
            return _ON_CPU[func](*args, **named)
        return self._whole_or_parts(func, args, named)

    def _whole_or_parts(self, func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """In inference an operator that is made of others comes whole; here it is taken apart.

        Not so with a weight that could be trained: its views would forget that in here, and a
        product of many rows would be done one image at a time.
        """
        trainable = any(isinstance(each, Tensor) and each.requires_grad for each in args)
        if func.namespace == "aten" and not trainable:
            with self:
                result = func.decompose(*args, **named)
            if result is not NotImplemented:
                return result
        return func(*args, **named)

    def _fast_path(self, *args: Any) -> tuple[Tensor, Tensor | None]:
        """Self-attention."""
        x_BND, (heads, *weights) = args[0], args[4:9]
        # What is as by default is not handed on.
        need_weights = args[_NEED_WEIGHTS] if len(args) > _NEED_WEIGHTS else True
        if self.device == "cuda" and not need_weights:
            return _fused(x_BND, heads, *weights)
        return _step_by_step(x_BND, heads, *weights, need_weights=need_weights)


def _fused(
    x_BND: Tensor, heads: int, in_weight: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, None]:
    """As on CUDA: query, key and value are views for a fused kernel."""
    q_BND, k_BND, v_BND = F.linear(x_BND, in_weight, in_bias).chunk(3, dim=-1)
    q_BANK, k_BANK, v_BANK = (
        each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (q_BND, k_BND, v_BND)
    )
    out_BANK = F.scaled_dot_product_attention(q_BANK, k_BANK, v_BANK)
    return F.linear(out_BANK.transpose(1, 2).flatten(2), weight, bias), None


def _step_by_step(
    x_BND: Tensor,
    heads: int,
    in_weight: Tensor,
    in_bias: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    need_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """As on a CPU: query, key and value in one piece, the softmax where the scores were."""
    batch, tokens, width = x_BND.shape
    projected = torch.mm(x_BND.reshape(-1, width), in_weight.t())
    qkv_SXNK = x_BND.new_empty(3, batch * heads, tokens, width // heads)
    del projected, in_bias
    scores_XNN = torch.bmm(qkv_SXNK[0], qkv_SXNK[1].transpose(1, 2))
    kept_BANN = scores_XNN.unflatten(0, (batch, heads)) if need_weights else None
    del scores_XNN
    # The weighted sum goes where the query was.
    out_BANK = qkv_SXNK[0].unflatten(0, (batch, heads))
    out_XD = out_BANK.transpose(1, 2).reshape(-1, width)
    result_BND = torch.addmm(bias, out_XD, weight.t()).unflatten(0, (batch, tokens))
    del out_XD
    return result_BND, kept_BANN.sum(1).div_(heads) if kept_BANN is not None else None


def _safe_softmax(scores_BANN: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Softmax, then zeros, in place, where nothing could be attended to."""
    out_BANN = torch.softmax(scores_BANN, dim, dtype=dtype)
    torch.isneginf(scores_BANN).all(dim, keepdim=True)
    return out_BANN


def _bmm(left_BMI: Tensor, right_BIO: Tensor) -> Tensor:
    """As oneDNN does it for halves: what lies in no order that it knows is copied first."""
    (batch, rows, inputs), outputs = left_BMI.shape, right_BIO.shape[2]
    if not _is_for_onednn(left_BMI) or rows * inputs * outputs <= _LEAST_PRODUCT:
        return torch.bmm(left_BMI, right_BIO)
    out_BMO = left_BMI.new_empty(batch, rows, outputs)
    copies = [
        each.clone(memory_format=torch.contiguous_format)
        for each in (left_BMI, right_BIO)
        if not _is_known(each)
    ]
    del copies
    return out_BMO


def _is_for_onednn(half_BMI: Tensor) -> bool:
    supported = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,  # noqa: SLF001
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,  # noqa: SLF001
    }
    return bool(supported[half_BMI.dtype]())


def _is_known(half_BMI: Tensor) -> bool:
    """Whether a batch of matrices lies row by row, or column by column."""
    return half_BMI.is_contiguous() or half_BMI.transpose(1, 2).is_contiguous()


def _mean(x_X: Tensor, dim: Any, keepdim: bool = False, **_: Any) -> Tensor:  # noqa: FBT001, FBT002
    """Of halves, by a sum of wider numbers."""
    return x_X.float().sum(dim, keepdim).div_(1).to(x_X.dtype)


# What takes more of halves on a CPU.
_ON_CPU: dict[Any, Callable[..., Tensor]] = {_ATEN.bmm.default: _bmm, _ATEN.mean.dim: _mean}
