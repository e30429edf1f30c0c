"""Measure upper limits of this machine: matrix products by the fastest library, and copying.

Axes: R rows of a whole batch, I inputs, O outputs of a Linear.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import exp

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.analysis.estimates import estimate_pass
from bench.timing.clocks import Clock
from bench.timing.device import last_level_cache_bytes
from bench.timing.rounds import Call, timed, without_collector
from vitcore.costs import Product

Linear = Callable[[Tensor], Tensor]

_TRIALS = 3
_LEAST_PAIRS = 4
_MOST_PAIRS = 200
_PATIENCE = 4.0
_COPIES = 5
_LEAST_COPY_BYTES = 256 * 2**20
_MOST_COPY_BYTES = 2**30


def _f_linear(weight_OI: Tensor, bias_O: Tensor, _rows: int) -> Linear:
    """Return F.linear, which a model calls; on CUDA it is cuBLAS."""
    return partial(F.linear, weight=weight_OI.clone(), bias=bias_O)


def _onednn(weight_OI: Tensor, bias_O: Tensor, rows: int) -> Linear:
    """Return oneDNN's product with a weight reordered into blocks once instead of at each call."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI, rows)  # noqa: SLF001
    product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
    return lambda x_RI: product(x_RI, packed, bias_O, "none", [], "")


def _mkl(weight_OI: Tensor, bias_O: Tensor, rows: int) -> Linear:
    """Return MKL's product with a weight packed for ``rows``; other numbers use ``weight_OI``."""
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight_OI, rows)  # noqa: SLF001
    product = torch.ops.mkl._mkl_linear  # noqa: SLF001
    return lambda x_RI: product(x_RI, packed, weight_OI, bias_O, rows)


# Each Linear holds a copy of its weight, so that no two share one in the cache.
_LIBRARIES: dict[str, Callable[[Tensor, Tensor, int], Linear]] = {
    "F.linear": _f_linear,
    "oneDNN prepacked": _onednn,
    "MKL prepacked": _mkl,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One Linear of a chain: ``linear(x_RI)`` is ``F.linear(x_RI, weight_OI, bias_O)``."""

    linear: Linear
    x_RI: Tensor
    weight_OI: Tensor
    bias_O: Tensor


class Chain:
    """The Linear products of a component, in order, as one call of one library.

    Each weight has memory of its own, so that the caches are as cold as inside the model. Inputs
    are standard normal, weights normal with variance 1 / inputs. Raises RuntimeError for a data
    type that the library does not support here, AttributeError if this torch has no such library.
    """

    def __init__(
        self,
        products: Sequence[Product],
        *,
        batch_size: int,
        dtype: torch.dtype,
        device: str,
        library: str,
    ) -> None:
        self.library = library
        self.flops = 2 * batch_size * sum(product.macs for product in products)
        make = partial(_steps, _LIBRARIES[library], batch_size, dtype, device)
        turns = [list(turn) for _, turn in groupby(products, lambda each: each.count)]
        with torch.inference_mode():
            self.steps = [
                step
                for turn in turns
                for steps in zip(*map(make, turn), strict=True)
                for step in steps
            ]

    def __call__(self) -> None:
        """Compute every product once and drop the results."""
        with torch.inference_mode():
            for step in self.steps:
                step.linear(step.x_RI)


def _steps(
    prepare: Callable[[Tensor, Tensor, int], Linear],
    batch_size: int,
    dtype: torch.dtype,
    device: str,
    product: Product,
) -> Iterator[Step]:
    """Yield the ``count`` steps of one product: equal weights, each in its own memory."""
    rows = batch_size * product.rows
    generator = torch.Generator(device).manual_seed(0)
    normal = partial(torch.randn, generator=generator, dtype=dtype, device=device)
    x_RI, bias_O = normal(rows, product.inputs), normal(product.outputs)
    weight_OI = normal(product.outputs, product.inputs) / product.inputs**0.5
    for _ in range(product.count):
        linear = prepare(weight_OI, bias_O, rows)
        yield Step(linear=linear, x_RI=x_RI, weight_OI=weight_OI, bias_O=bias_O)


def libraries(dtype: torch.dtype, device: str) -> tuple[str, ...]:
    """Return the names of the libraries that support products of a data type here, by trying.

    F.linear is always one of them; on CUDA it is the only one.
    """
    if device != "cpu":
        return ("F.linear",)
    return tuple(name for name in _LIBRARIES if _is_supported(name, dtype, device))


def _is_supported(library: str, dtype: torch.dtype, device: str) -> bool:
    tiny = Product(rows=8, inputs=16, outputs=8)
    try:
        Chain((tiny,), batch_size=1, dtype=dtype, device=device, library=library)()
    # torch.ops raises AttributeError for an operator missing from a build.
    except (RuntimeError, AttributeError):
        return False
    return True


def fastest(
    products: Sequence[Product],
    *,
    batch_size: int,
    dtype: torch.dtype,
    device: str,
    clock: Clock,
) -> Chain:
    """Return the warm chain of the library with the fastest of three calls.

    The weights of one library are freed before the next library is tried.
    """
    build = partial(Chain, products, batch_size=batch_size, dtype=dtype, device=device)
    names = libraries(dtype, device)
    best = names[0]
    if len(names) > 1:
        least_s = {name: _least_s(build(library=name), clock) for name in names}
        best = min(least_s, key=least_s.__getitem__)
    chain = build(library=best)
    chain()
    return chain


def _least_s(call: Call, clock: Clock) -> float:
    with without_collector():
        return min(timed(call, clock) for _ in range(_TRIALS))


@dataclass(frozen=True, kw_only=True)
class LimitRatio:
    """A call compared with its limit: ``ratio`` is the limit's time / the call's time.

    ``limit_s`` is the limit's median in seconds; a chain's FLOPs / ``limit_s`` is the speed limit
    of the machine.
    """

    ratio: float
    limit_s: float
    pairs: int


def paired_ratio(call: Call, limit: Call, clock: Clock, *, seconds: float) -> LimitRatio:
    """Time a call and its limit, usually a Chain, in alternating pairs for about ``seconds``.

    Minimum 4 pairs, or 2 if these take four times as long; maximum 200. The limit goes first in
    pairs of even index. Drift of the machine cancels in the ratio. Both must be warm.
    """
    limit_s: list[float] = []
    call_s: list[float] = []
    with without_collector():
        while _needs_more(len(call_s), sum(limit_s) + sum(call_s), seconds):
            turns = [(limit, limit_s), (call, call_s)]
            for each, times_s in turns if len(call_s) % 2 == 0 else reversed(turns):
                times_s.append(timed(each, clock))
    ratio = exp(estimate_pass(limit_s, call_s).log_ratio)
    return LimitRatio(ratio=ratio, limit_s=statistics.median(limit_s), pairs=len(call_s))


def _needs_more(pairs: int, spent_s: float, seconds: float) -> bool:
    least = _LEAST_PAIRS if spent_s < _PATIENCE * seconds else 2
    return pairs < least or (pairs < _MOST_PAIRS and spent_s < seconds)


def copy_bytes(device: str) -> int:
    """Return the bytes of a buffer beyond any cache: 1 GiB on CUDA, on a CPU 4 x its cache.

    Minimum 256 MiB, also if the size of the cache is unknown; maximum 1 GiB.
    """
    if device != "cpu":
        return _MOST_COPY_BYTES
    return min(max(4 * (last_level_cache_bytes() or 0), _LEAST_COPY_BYTES), _MOST_COPY_BYTES)


def copy_bytes_per_s(device: str, clock: Clock) -> float:
    """Return the bytes per second that ``Tensor.copy_`` reads and writes, median of five copies.

    Counted as in STREAM's Copy (McCalpin 1995): without reads for write-allocate.
    """
    size = copy_bytes(device)
    # Ones: untouched pages would all map to the same page of zeros.
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    copy = partial(target.copy_, source)
    copy()
    return 2 * size / statistics.median(timed(copy, clock) for _ in range(_COPIES))
