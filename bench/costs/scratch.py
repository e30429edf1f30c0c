"""Measure the scratch memory of a matrix product or fused attention on this CPU.

Products in half precision are oneDNN's, which gets its scratch from torch's allocator. Its size
depends on the kernel, hence on the instruction set (AVX-512, AMX), and on the number of threads,
not on shapes alone. The operator therefore runs on this machine, on zeros, under the allocation
observer. A smaller operator replaces a large one, so that this stays cheap:

- Scratch of a product is blocks for each thread (oneDNN: cpu/x64/matmul/brgemm_matmul_utils.cpp),
  which hardly grow beyond that size.
- Fused attention packs all keys and values on a CPU with AMX (native/cpu/FlashAttentionKernel.cpp),
  in proportion to the batch.

Axes: B batch, M, I, O rows, inputs and outputs of a product, A heads, N tokens, K head width.
"""

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_iter

from bench.costs.memory import peak_tensor_bytes

_ADDMM = torch.ops.aten.addmm.default
# Limits of the operator that runs: 128 MiB in half precision, and about 0.1 s with instructions for
# it, without which oneDNN computes no product.
_MOST_MULTIPLICATIONS = 2**32
_MOST_NUMBERS = 2**26


def product_scratch_bytes(func: Callable[..., Any], left_BMI: Tensor, right_BIO: Tensor) -> int:
    """Return the scratch bytes of ``mm``, ``addmm`` or ``bmm`` for operands, which may be fake."""
    sizes = [*left_BMI.shape, right_BIO.shape[-1]]
    while _is_large(sizes):
        longest = sizes.index(max(sizes))
        sizes[longest] //= 2
    *batches, rows, inputs, outputs = sizes
    bias = ((outputs,),) if func is _ADDMM else ()
    turned = (*(False for _ in bias), _is_turned(left_BMI), _is_turned(right_BIO))
    shapes = (*bias, (*batches, rows, inputs), (*batches, inputs, outputs))
    return _scratch_bytes(func, shapes, turned, left_BMI.dtype, torch.get_num_threads())


def attention_scratch_bytes(func: Callable[..., Any], query_BANK: Tensor, key_BANK: Tensor) -> int:
    """Return the scratch bytes of fused attention for queries and keys, which may be fake."""
    batch, *query_ANK = query_BANK.shape
    _, *key_ANK = key_BANK.shape
    asked = batch
    while asked > 1 and 2 * asked * prod(query_ANK) * key_ANK[1] > _MOST_MULTIPLICATIONS:
        asked //= 2
    key = (asked, *key_ANK)
    shapes = ((asked, *query_ANK), key, key)
    turned, threads = (False, False, False), torch.get_num_threads()
    found = _scratch_bytes(func, shapes, turned, query_BANK.dtype, threads)
    return found * batch // asked


def _is_large(sizes: list[int]) -> bool:
    *batches, rows, inputs, outputs = sizes
    numbers = prod(batches) * (rows * inputs + inputs * outputs + rows * outputs)
    return prod(sizes) > _MOST_MULTIPLICATIONS or numbers > _MOST_NUMBERS


def _is_turned(matrices: Tensor) -> bool:
    """Return whether matrices are stored column by column."""
    return matrices.stride(-2) == 1 and matrices.stride(-1) != 1


@cache
def _scratch_bytes(
    func: Callable[..., Any],
    shapes: tuple[tuple[int, ...], ...],
    turned: tuple[bool, ...],
    dtype: torch.dtype,
    _threads: int,
) -> int:
    """Return the peak bytes of an operator beyond its outputs; the cache is keyed by threads, too.

    Runs outside all dispatch modes, which would make tensors without memory.
    """
    with _disable_current_modes(), torch.no_grad():
        operands = [
            torch.zeros(*shape[:-2], *shape[:-3:-1], dtype=dtype).transpose(-1, -2)
            if is_turned
            else torch.zeros(shape, dtype=dtype)
            for shape, is_turned in zip(shapes, turned, strict=True)
        ]
        outputs = [each for each in tree_iter(func(*operands)) if isinstance(each, Tensor)]
        output_bytes = sum(each.untyped_storage().nbytes() for each in outputs)
        return peak_tensor_bytes(lambda: func(*operands), 0) - output_bytes
