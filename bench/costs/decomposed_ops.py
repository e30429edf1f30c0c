"""Decompose fused PyTorch operators so that the memory tracer sees their internal allocations.

Fake tensors hide the temporaries that an operator allocates in C++. Sources of the decompositions:
aten/src/ATen/native/transformers (fast path of nn.MultiheadAttention), its attention.cpp (softmax),
native/mkldnn/Matmul.cpp (products) and native/ReduceOps.cpp (mean). ``bench.costs.scratch``
measures the scratch memory of the CPU's math library.

Axes: B batch, N tokens, D token width, A heads, K head width, S = 3 for query, key and value,
M, I, O rows, inputs and outputs of a product, X any axes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.costs.scratch import attention_scratch_bytes, product_scratch_bytes

_ATEN = torch.ops.aten
_FAST_PATH = _ATEN._native_multi_head_attention.default  # noqa: SLF001
_SAFE_SOFTMAX = _ATEN._safe_softmax.default  # noqa: SLF001
_LINEAR = _ATEN.linear.default
_MM, _BMM, _ADDMM = _ATEN.mm.default, _ATEN.bmm.default, _ATEN.addmm.default
_CPU_ATTENTION = _ATEN._scaled_dot_product_flash_attention_for_cpu.default  # noqa: SLF001

_NEED_WEIGHTS = 10
_HALVES = (torch.bfloat16, torch.float16)
# Matmul.cpp calls oneDNN only for more multiplications than these.
_LEAST_PRODUCT = 16**3


class DecomposedOps(TorchDispatchMode):
    """Run fused operators step by step, so that the dispatch modes below see each allocation."""

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
        """Run an operator, or its steps if a decomposition is defined."""
        named = kwargs or {}
        if func is _FAST_PATH:
            return self._fast_path(*args)
        if func is _SAFE_SOFTMAX:
            return _safe_softmax(*args, **named)
        if self.device == "cpu" and func in _ON_CPU and args[0].dtype in _HALVES:
            return _ON_CPU[func](*args, **named)
        return self._decomposed(func, args, named)

    def _decomposed(self, func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """Decompose a composite operator, which arrives whole in inference.

        Operators on trainable tensors stay whole: views of a weight made here would lose
        ``requires_grad``, and a product of many rows would be split into one per image.
        """
        trainable = any(isinstance(each, Tensor) and each.requires_grad for each in args)
        if func.namespace == "aten" and not trainable:
            with self:
                late = func is _LINEAR and _adds_late(*args)
                result = _late_bias(*args) if late else func.decompose(*args, **named)
            if result is not NotImplemented:
                return result
        result = func(*args, **named)
        if func is _LINEAR and self.device == "cpu" and args[0].dtype in _HALVES:
            # Operands that are not contiguous are copied for one product of all rows.
            rows_MI = args[0].flatten(0, -2)
            adds = len(args) > len("xw") and not _adds_late(*args)
            _take_scratch(_ADDMM if adds else _MM, rows_MI, args[1].t())
        return result

    def _fast_path(self, *args: Any) -> tuple[Tensor, Tensor | None]:
        """Run self-attention by the path that the device would take."""
        inputs, (heads, *weights) = args[:3], args[4:9]
        # Arguments left at their defaults are not passed.
        need_weights = args[_NEED_WEIGHTS] if len(args) > _NEED_WEIGHTS else True
        if self.device == "cuda" and not need_weights:
            return _fused(inputs[0], heads, *weights)
        with self:
            return _step_by_step(inputs, heads, *weights, need_weights=need_weights)


def _fused(
    x_BND: Tensor, heads: int, in_weight: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, None]:
    """Run self-attention as on CUDA: query, key and value are views for a fused kernel."""
    q_BND, k_BND, v_BND = F.linear(x_BND, in_weight, in_bias).chunk(3, dim=-1)
    q_BANK, k_BANK, v_BANK = (
        each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (q_BND, k_BND, v_BND)
    )
    out_BANK = F.scaled_dot_product_attention(q_BANK, k_BANK, v_BANK)
    return F.linear(out_BANK.transpose(1, 2).flatten(2), weight, bias), None


def _step_by_step(
    inputs: tuple[Tensor, Tensor, Tensor],
    heads: int,
    in_weight: Tensor,
    in_bias: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    need_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """Run self-attention as on a CPU: one tensor for query, key, value; softmax in place."""
    batch, tokens, width = inputs[0].shape
    projected = _projected(inputs, in_weight)
    qkv_SXNK = projected.new_empty(3, batch * heads, tokens, width // heads)
    del projected, in_bias
    scores_XNN = torch.bmm(qkv_SXNK[0], qkv_SXNK[1].transpose(1, 2))
    kept_BANN = scores_XNN.unflatten(0, (batch, heads)) if need_weights else None
    # The weighted sum overwrites the query.
    _take_scratch(_BMM, scores_XNN, qkv_SXNK[2])
    del scores_XNN
    out_BANK = qkv_SXNK[0].unflatten(0, (batch, heads))
    out_XD = out_BANK.transpose(1, 2).reshape(-1, width)
    result_BND = torch.addmm(bias, out_XD, weight.t()).unflatten(0, (batch, tokens))
    del out_XD
    return result_BND, kept_BANN.sum(1).div_(heads) if kept_BANN is not None else None


def _projected(inputs: tuple[Tensor, Tensor, Tensor], in_weight: Tensor) -> Tensor:
    """Project in one product; in three and a copy under autocast, which casts the input thrice."""
    rows = [each.reshape(-1, each.shape[-1]) for each in inputs]
    if inputs[0] is inputs[1]:
        return torch.mm(rows[0], in_weight.t())
    parts = zip(rows, in_weight.chunk(3), strict=True)
    return torch.cat([torch.mm(each, weight.t()) for each, weight in parts], dim=-1)


def _safe_softmax(scores_BANN: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Return the softmax; in place, rows that are fully masked become zeros."""
    out_BANN = torch.softmax(scores_BANN, dim, dtype=dtype)
    torch.isneginf(scores_BANN).all(dim, keepdim=True)
    return out_BANN


def _adds_late(x_X: Tensor, _weight: Tensor, bias: Tensor | None = None) -> bool:
    """Return whether a linear layer adds its bias after the product."""
    return bias is not None and x_X.dim() > len("MI") and not x_X.is_contiguous()


def _late_bias(x_X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a linear layer with the bias added in place, as in native/Linear.cpp."""
    return torch.matmul(x_X, weight.t()).add_(bias)


def _bmm(left_BMI: Tensor, right_BIO: Tensor) -> Tensor:
    """Return a batched product as by oneDNN in half precision, which copies some operands first."""
    (batch, rows, inputs), outputs = left_BMI.shape, right_BIO.shape[2]
    if not _is_for_onednn(left_BMI) or rows * inputs * outputs <= _LEAST_PRODUCT:
        return torch.bmm(left_BMI, right_BIO)
    out_BMO = left_BMI.new_empty(batch, rows, outputs)
    known = [
        each if _is_known(each) else each.clone(memory_format=torch.contiguous_format)
        for each in (left_BMI, right_BIO)
    ]
    _take_scratch(_BMM, *known)
    return out_BMO


def _mm(left_MI: Tensor, right_IO: Tensor, **named: Any) -> Tensor:
    out_MO = torch.mm(left_MI, right_IO, **named)
    _take_scratch(_MM, left_MI, right_IO)
    return out_MO


def _addmm(bias: Tensor, left_MI: Tensor, right_IO: Tensor, **named: Any) -> Tensor:
    out_MO = torch.addmm(bias, left_MI, right_IO, **named)
    _take_scratch(_ADDMM, left_MI, right_IO)
    return out_MO


def _attention(query_BANK: Tensor, key_BANK: Tensor, *args: Any, **named: Any) -> Any:
    """Return fused attention, after allocating the scratch of its CPU kernel."""
    outputs = _CPU_ATTENTION(query_BANK, key_BANK, *args, **named)
    if _is_for_onednn(query_BANK):
        size_bytes = attention_scratch_bytes(_CPU_ATTENTION, query_BANK, key_BANK)
        query_BANK.new_empty(size_bytes, dtype=torch.uint8)
    return outputs


def _take_scratch(func: Callable[..., Any], left_X: Tensor, right_X: Tensor) -> None:
    """Allocate and free the scratch of a product that oneDNN computes."""
    if left_X.dtype in _HALVES and _is_for_onednn(left_X):
        left_X.new_empty(product_scratch_bytes(func, left_X, right_X), dtype=torch.uint8)


def _is_for_onednn(half_BMI: Tensor) -> bool:
    supported = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,  # noqa: SLF001
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,  # noqa: SLF001
    }
    return bool(supported[half_BMI.dtype]())


def _is_known(half_BMI: Tensor) -> bool:
    """Return whether a batch of matrices is stored row by row or column by column."""
    return half_BMI.is_contiguous() or half_BMI.transpose(1, 2).is_contiguous()


def _mean(x_X: Tensor, dim: Any, keepdim: bool = False, **_: Any) -> Tensor:  # noqa: FBT001, FBT002
    """Return the mean of half-precision numbers, from a sum in float32."""
    return x_X.float().sum(dim, keepdim).div_(1).to(x_X.dtype)


# Operators with internal allocations for half precision on a CPU.
_ON_CPU: dict[Any, Callable[..., Any]] = {
    _BMM: _bmm,
    _MM: _mm,
    _ADDMM: _addmm,
    _ATEN.mean.dim: _mean,
    _CPU_ATTENTION: _attention,
}
