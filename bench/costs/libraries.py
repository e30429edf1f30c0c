"""Matrix products of a model by every library that can be called here.

A library prepares a product once, such as by packing its weight, and then computes it repeatedly.
Axes: R rows of a whole batch, I inputs, O outputs of a Linear; B batch, H heads, N tokens, K values
of one head, P images x heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vitcore.costs import Core, Product

AnyProduct = Product | Core
# Takes weight_OI, bias_O and a buffer of the result; returns a function of x_RI.
PrepareLinear = Callable[[Tensor, Tensor, Tensor], Callable[[Tensor], Tensor]]
# A function of q_BHNK, k_BHNK and v_BHNK.
ComputeCore = Callable[[Tensor, Tensor, Tensor], Tensor]

_HALVES = (torch.bfloat16, torch.float16)


def _f_linear(weight_OI: Tensor, bias_O: Tensor, _out_RO: Tensor) -> Callable[[Tensor], Tensor]:
    """Return F.linear, which a model calls; on CUDA it is cuBLAS."""
    return partial(F.linear, weight=weight_OI.clone(), bias=bias_O)


def _addmm(weight_OI: Tensor, bias_O: Tensor, out_RO: Tensor) -> Callable[[Tensor], Tensor]:
    """Return addmm with a weight transposed once, into a buffer that is allocated once."""
    weight_IO = weight_OI.t().contiguous()
    return lambda x_RI: torch.addmm(bias_O, x_RI, weight_IO, out=out_RO)


def _onednn(weight_OI: Tensor, bias_O: Tensor, out_RO: Tensor) -> Callable[[Tensor], Tensor]:
    """Return oneDNN's product with a weight reordered into blocks once instead of at each call."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI, len(out_RO))  # noqa: SLF001
    product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
    return lambda x_RI: product(x_RI, packed, bias_O, "none", [], "")


def _mkl(weight_OI: Tensor, bias_O: Tensor, out_RO: Tensor) -> Callable[[Tensor], Tensor]:
    """Return MKL's product with a weight packed for a number of rows."""
    rows = len(out_RO)
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight_OI, rows)  # noqa: SLF001
    product = torch.ops.mkl._mkl_linear  # noqa: SLF001
    # ``weight_OI`` would serve other numbers of rows.
    return lambda x_RI: product(x_RI, packed, weight_OI, bias_O, rows)


def _in_float32(prepare: PrepareLinear) -> PrepareLinear:
    """Return a library for a half type: a CPU without its instructions is faster in float32."""

    def prepared(weight_OI: Tensor, bias_O: Tensor, out_RO: Tensor) -> Callable[[Tensor], Tensor]:
        linear = prepare(weight_OI.float(), bias_O.float(), out_RO)
        return lambda x_RI: linear(x_RI.float()).to(x_RI.dtype)

    return prepared


def _bmm(q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor) -> Tensor:
    """Return (q kᵀ) v of each head, of which only scale and softmax are missing."""
    q_PNK, k_PNK, v_PNK = (each.flatten(0, 1) for each in (q_BHNK, k_BHNK, v_BHNK))
    return torch.bmm(torch.bmm(q_PNK, k_PNK.transpose(1, 2)), v_PNK)


def _core_in_float32(q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor) -> Tensor:
    core = F.scaled_dot_product_attention
    return core(q_BHNK.float(), k_BHNK.float(), v_BHNK.float()).to(q_BHNK.dtype)


# Each Linear holds a copy of its weight, so that no two share one in the cache.
LINEARS: dict[str, PrepareLinear] = {
    "F.linear": _f_linear,
    "addmm": _addmm,
    "oneDNN prepacked": _onednn,
    "MKL prepacked": _mkl,
}
LINEARS_OF_HALVES: dict[str, PrepareLinear] = {
    "oneDNN in float32": _in_float32(_onednn),
    "MKL in float32": _in_float32(_mkl),
}
# A fused core does more than the products, softmax too, and is yet the faster one at times.
CORES: dict[str, ComputeCore] = {"bmm": _bmm, "SDPA": F.scaled_dot_product_attention}
CORES_OF_HALVES: dict[str, ComputeCore] = {"SDPA in float32": _core_in_float32}
# CUDA's products of all types are cuBLAS.
ON_CUDA = ("F.linear", "addmm", "bmm", "SDPA")
# In a half type addmm takes a hundred times as long on a CPU without its instructions, and on one
# with them prepacked weights are faster.
NOT_OF_HALVES = ("addmm",)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One product of a chain, ready to be computed: ``compute(*operands)``.

    The operands are x_RI of a Linear, q, k and v of a core; ``weight`` is weight_OI and bias_O of a
    Linear, and empty for a core.
    """

    library: str
    compute: Callable[..., Tensor]
    operands: tuple[Tensor, ...]
    weight: tuple[Tensor, ...] = ()

    def __call__(self) -> Tensor:
        """Compute the product once."""
        return self.compute(*self.operands)


def steps(
    product: AnyProduct,
    library: str,
    *,
    batch_size: int,
    dtype: torch.dtype,
    device: str,
    copies: int | None = None,
) -> list[Step]:
    """Return the ``count`` steps of a product, or ``copies``: equal weights, each in own memory.

    So the caches are as cold as inside the model. Inputs, which all steps share, are standard
    normal, weights normal with variance 1 / inputs. Raises RuntimeError for a data type that the
    library does not support here, AttributeError if this torch has no such library.
    """
    generator = torch.Generator(device).manual_seed(0)
    normal = partial(torch.randn, generator=generator, dtype=dtype, device=device)
    count = product.count if copies is None else copies
    if isinstance(product, Core):
        shape = (batch_size, product.heads, product.tokens, product.head_width)
        compute = {**CORES, **CORES_OF_HALVES}[library]
        return [Step(library=library, compute=compute, operands=_three(normal, shape))] * count
    rows, prepare = batch_size * product.rows, {**LINEARS, **LINEARS_OF_HALVES}[library]
    x_RI, bias_O = normal(rows, product.inputs), normal(product.outputs)
    weight_OI = normal(product.outputs, product.inputs) / product.inputs**0.5
    out_RO = x_RI.new_empty(rows, product.outputs)
    prepared = (prepare(weight_OI, bias_O, out_RO) for _ in range(count))
    make = partial(Step, library=library, operands=(x_RI,), weight=(weight_OI, bias_O))
    return [make(compute=compute) for compute in prepared]


def _three(normal: Callable[..., Tensor], shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Return q, k and v."""
    return normal(*shape), normal(*shape), normal(*shape)


def libraries(product: AnyProduct, dtype: torch.dtype, device: str) -> tuple[str, ...]:
    """Return the libraries that support a kind of product in a data type here, by trying.

    F.linear is always one of a Linear's, SDPA one of a core's.
    """
    is_core = isinstance(product, Core)
    table: dict[str, Any] = {**(CORES if is_core else LINEARS)}
    if dtype in _HALVES:
        table |= CORES_OF_HALVES if is_core else LINEARS_OF_HALVES
    tiny = (
        Core(tokens=4, heads=2, head_width=8) if is_core else Product(rows=8, inputs=16, outputs=8)
    )
    if device == "cpu":
        names = [name for name in table if dtype not in _HALVES or name not in NOT_OF_HALVES]
    else:
        names = [name for name in table if name in ON_CUDA]
    return tuple(name for name in names if _is_supported(tiny, name, dtype, device))


def _is_supported(tiny: AnyProduct, library: str, dtype: torch.dtype, device: str) -> bool:
    try:
        with torch.inference_mode():
            steps(tiny, library, batch_size=1, dtype=dtype, device=device)[0]()
    # torch.ops raises AttributeError for an operator missing from a build.
    except (RuntimeError, AttributeError):
        return False
    return True
