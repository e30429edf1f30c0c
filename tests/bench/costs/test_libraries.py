"""bench.costs.libraries: every library computes the same product, with operands of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.costs import libraries as libraries_of_products
from bench.costs.libraries import CORES, CORES_OF_HALVES, LINEARS, Step, libraries, steps
from vitcore import costs
from vitcore.config import ViTConfig
from vitcore.costs import Core, Product

SMALL = ViTConfig.from_name("B/32", image_size=64, depth=2)
LINEAR = Product(rows=3, inputs=8, outputs=16)
CORE = Core(tokens=5, heads=2, head_width=8)
# Half of the bits of a result, with room for sums in another order.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def build(product: Product | Core, library: str = "F.linear", **changes: Any) -> list[Step]:
    """Steps of a product of two images on the CPU."""
    given = {"batch_size": 2, "dtype": torch.float32, "device": "cpu", **changes}
    return steps(product, library, **given)


def in_float64(step: Step) -> Tensor:
    """Result of a step by float64 arithmetic on the CPU."""
    operands = [each.cpu().double() for each in step.operands]
    weight = [each.cpu().double() for each in step.weight]
    if weight:
        return F.linear(*operands, *weight)
    q_BHNK, k_BHNK, v_BHNK = operands
    if step.library == "bmm":
        return (q_BHNK @ k_BHNK.transpose(2, 3) @ v_BHNK).flatten(0, 1)
    return F.scaled_dot_product_attention(q_BHNK, k_BHNK, v_BHNK)


def error(step: Step) -> float:
    """Relative error of a step against float64."""
    with torch.inference_mode():
        found, expected = step(), in_float64(step)
    assert found.dtype == step.operands[0].dtype
    return float((found.cpu().double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("product", costs.products(SMALL, "model"), ids=str)
def test_every_library_computes_the_same(product: Product | Core, dtype: torch.dtype) -> None:
    """Each library's result is the product, in the data type of its operands."""
    for library in libraries(product, dtype, "cpu"):
        (step,) = build(product, library, dtype=dtype, copies=1)
        assert error(step) < TOLERANCES[dtype]


def test_no_two_layers_share_a_weight() -> None:
    """Layers of equal size have equal weights in separate memory, so that none is cached."""
    found = build(Product(rows=2, inputs=4, outputs=4, count=5))
    weights = [
        step.compute.keywords["weight"] for step in found if isinstance(step.compute, partial)
    ]
    assert len({weight.data_ptr() for weight in weights}) == 5
    assert all(torch.equal(weight, weights[0]) for weight in weights)


@pytest.mark.parametrize(("product", "library"), [(LINEAR, "F.linear"), (CORE, "SDPA")])
@pytest.mark.parametrize("copies", [None, 1, 7])
def test_copies_replace_the_count(
    product: Product | Core, library: str, copies: int | None
) -> None:
    """There are as many steps as the product counts, or as many as are asked for."""
    assert len(build(product, library, copies=copies)) == (copies or 1)


def test_numbers_are_random_and_keep_their_size() -> None:
    """Inputs and outputs are standard normal, and the caller's generator does not advance."""
    before = torch.random.get_rng_state()
    (step,) = build(Product(rows=200, inputs=400, outputs=300))
    for tensor in (*step.operands, F.linear(step.operands[0], step.weight[0])):
        assert float(tensor.mean()) == pytest.approx(0, abs=0.05)
        assert float(tensor.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_operands_of_a_core_differ() -> None:
    """Queries, keys and values are three tensors of images, heads, tokens and a head's values."""
    (step,) = build(CORE, "SDPA")
    assert {tuple(each.shape) for each in step.operands} == {(2, 2, 5, 8)}
    assert len({float(each.sum()) for each in step.operands}) == 3


def test_a_buffer_is_written_again() -> None:
    """The library with a buffer allocates no result: two calls return the same memory."""
    first, second = build(LINEAR, "addmm", copies=2)
    with torch.inference_mode():
        assert first().data_ptr() == first().data_ptr() == second().data_ptr()


def test_a_library_does_only_its_types() -> None:
    """MKL packs float32 only, oneDNN has no float64; half types are computed in float32, too."""
    assert libraries(LINEAR, torch.float64, "cpu") == ("F.linear", "addmm")
    assert libraries(CORE, torch.float64, "cpu") == ("bmm", "SDPA")
    assert set(libraries(LINEAR, torch.float32, "cpu")) <= set(LINEARS)
    halves = libraries(LINEAR, torch.bfloat16, "cpu")
    assert {"MKL prepacked", "addmm"}.isdisjoint(halves)
    assert ("oneDNN in float32" in halves) is (
        "oneDNN prepacked" in libraries(LINEAR, torch.float32, "cpu")
    )
    assert libraries(CORE, torch.float16, "cpu") == (*CORES, *CORES_OF_HALVES)
    with pytest.raises((RuntimeError, AttributeError)):
        build(LINEAR, "MKL prepacked", dtype=torch.bfloat16)[0]()


def test_a_library_that_this_torch_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing operator, or one that fails when called, leaves its library out."""

    def absent(*_: object) -> Callable[[Tensor], Tensor]:
        return torch.ops.mkl._no_such_operator

    def failing(*_: object) -> Callable[[Tensor], Tensor]:
        return lambda x_RI: F.linear(x_RI, x_RI[:, :1])

    table = {"F.linear": LINEARS["F.linear"], "absent": absent, "failing": failing}
    monkeypatch.setattr(libraries_of_products, "LINEARS", table)
    assert libraries(LINEAR, torch.float32, "cpu") == ("F.linear",)


@needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_libraries_on_the_gpu(dtype: torch.dtype) -> None:
    """On CUDA cuBLAS and attention's kernels agree with float64."""
    assert libraries(LINEAR, dtype, "cuda") == ("F.linear", "addmm")
    assert libraries(CORE, dtype, "cuda") == ("bmm", "SDPA")
    for product in costs.products(SMALL, "block"):
        for library in libraries(product, dtype, "cuda"):
            assert error(build(product, library, dtype=dtype, device="cuda")[0]) < TOLERANCES[dtype]
