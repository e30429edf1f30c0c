"""bench.costs.limits: chains compute F.linear's results, and their times give the right ratios."""

import gc
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain as joined
from itertools import repeat
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.costs import limits
from bench.costs.limits import Chain, LimitRatio, copy_bytes_per_s, fastest, libraries, paired_ratio
from bench.timing.clocks import clock_for
from helpers.clocks import FakeClock, FakeStamp
from vitcore import costs
from vitcore.config import ViTConfig
from vitcore.costs import Product

SMALL = ViTConfig.from_name("B/32", image_size=64, depth=2)
TINY = (Product(rows=3, inputs=8, outputs=16), Product(rows=3, inputs=16, outputs=8))
# Half of the bits of a result, with room for sums in another order.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


class JumpingClock(FakeClock):
    """A clock that jumps ahead by ``jump()`` seconds before each reading."""

    def __init__(self, jump: Callable[[], float]) -> None:
        super().__init__()
        self.jump = jump

    def __call__(self) -> FakeStamp:
        """Jump, then return the reading."""
        self.now_s += self.jump()
        return super().__call__()


def build(*products: Product, library: str = "F.linear", **changes: Any) -> Chain:
    """Build a chain of small products for two images on the CPU."""
    given = {"batch_size": 2, "dtype": torch.float32, "device": "cpu", **changes}
    return Chain(products, library=library, **given)


def worst_error(chain: Chain) -> float:
    """Largest relative error of a chain's steps against float64 on the CPU."""
    errors = []
    with torch.inference_mode():
        for step in chain.steps:
            operands = (step.x_RI, step.weight_OI, step.bias_O)
            expected_RO = F.linear(*(each.cpu().double() for each in operands))
            out_RO = step.linear(step.x_RI)
            assert out_RO.dtype == step.x_RI.dtype
            difference_RO = out_RO.cpu().double() - expected_RO
            errors.append(float(difference_RO.norm() / expected_RO.norm()))
    return max(errors)


def slow(clock: FakeClock, seconds: Iterator[float]) -> Callable[..., limits.Linear]:
    """Make a library whose products take the next of ``seconds``."""
    work = clock.work(seconds)

    def prepare(_weight_OI: Tensor, _bias_O: Tensor, _rows: int) -> limits.Linear:
        def linear(x_RI: Tensor) -> Tensor:
            work()
            return x_RI

        return linear

    return prepare


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("component", costs.COMPONENTS)
def test_every_library_computes_the_same(component: str, dtype: torch.dtype) -> None:
    """Each step of each chain equals a Linear, for each library of this machine."""
    products = costs.products(SMALL, component)
    for library in libraries(dtype, "cpu"):
        assert worst_error(build(*products, library=library, dtype=dtype)) < TOLERANCES[dtype]


@pytest.mark.parametrize("component", costs.COMPONENTS)
def test_flops_are_those_of_the_arithmetic(component: str) -> None:
    """A chain has two FLOPs per multiply-accumulate, without attention cores."""
    cores = {"patcher": 0, "attention": 1, "block": 1, "model": SMALL.depth}[component]
    one_image = costs.cost_of(SMALL, component) + costs.attention_core(SMALL) * (-cores)
    assert build(*costs.products(SMALL, component), batch_size=5).flops == 5 * one_image.flops


def test_products_of_equal_count_take_turns() -> None:
    """The steps have the model's order: the patcher, block after block, the head."""
    found = build(*costs.products(SMALL, "model")).steps
    block = [(10, 768, 2304), (10, 768, 768), (10, 768, 3072), (10, 3072, 768)]
    assert [(*step.x_RI.shape, len(step.weight_OI)) for step in found] == [
        (8, 3072, 768),
        *block,
        *block,
        (2, 768, 1000),
    ]


def test_no_two_layers_share_a_weight() -> None:
    """Layers of equal size have separate weights, so that none is cached."""
    chain = build(Product(rows=2, inputs=4, outputs=4, count=5))
    weights = [step.linear.keywords["weight"] for step in chain.steps]
    assert len({weight.data_ptr() for weight in weights}) == 5
    assert all(torch.equal(weight, weights[0]) for weight in weights)


def test_numbers_are_random_and_keep_their_size() -> None:
    """Inputs and outputs are standard normal, and the caller's generator does not advance."""
    before = torch.random.get_rng_state()
    (step,) = build(Product(rows=200, inputs=400, outputs=300)).steps
    for tensor in (step.x_RI, F.linear(step.x_RI, step.weight_OI)):
        assert float(tensor.mean()) == pytest.approx(0, abs=0.05)
        assert float(tensor.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_call_does_every_step_in_inference_mode() -> None:
    """Each product runs once, in order, without a graph for backward."""
    chain, seen = build(*TINY), list[tuple[int, bool]]()

    def noting(x_RI: Tensor) -> Tensor:
        seen.append((x_RI.shape[1], torch.is_inference_mode_enabled()))
        return x_RI

    chain.steps = [replace(step, linear=noting) for step in chain.steps]
    with torch.enable_grad():
        chain()
    assert seen == [(8, True), (16, True)]


def test_a_library_does_only_its_types() -> None:
    """MKL packs float32 only, oneDNN has no float64, CUDA has cuBLAS only."""
    assert libraries(torch.float64, "cpu") == ("F.linear",)
    assert set(libraries(torch.float16, "cpu")) <= {"F.linear", "oneDNN prepacked"}
    assert "MKL prepacked" not in libraries(torch.bfloat16, "cpu")
    assert libraries(torch.float16, "cuda") == ("F.linear",)
    with pytest.raises((RuntimeError, AttributeError)):
        build(*TINY, library="MKL prepacked", dtype=torch.bfloat16)


def test_a_library_that_this_torch_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing operator, or one that fails when called, leaves its library out."""

    def absent(*_: object) -> limits.Linear:
        return torch.ops.mkl._no_such_operator

    def failing(*_: object) -> limits.Linear:
        return lambda x_RI: F.linear(x_RI, x_RI[:, :1])

    table = {"F.linear": limits._f_linear, "absent": absent, "failing": failing}
    monkeypatch.setattr(limits, "_LIBRARIES", table)
    assert libraries(torch.float32, "cpu") == ("F.linear",)


def test_the_fastest_library_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The minimum of three calls decides, whatever a slow call or a fourth one takes."""
    clock = FakeClock()
    # The first call of each library only checks that it works.
    table = {
        "steady": slow(clock, joined([0.0], repeat(2.0))),
        "disturbed": slow(clock, joined([0.0], [9.0, 1.0, 9.0], repeat(9.0))),
        "late": slow(clock, joined([0.0], [9.0, 9.0, 9.0], repeat(0.5))),
    }
    monkeypatch.setattr(limits, "_LIBRARIES", table)
    found = fastest(TINY[:1], batch_size=1, dtype=torch.float32, device="cpu", clock=clock)
    assert found.library == "disturbed"
    assert clock.now_s == 3 * 2.0 + 19.0 + 27.0 + 9.0


def test_one_chain_is_in_memory_at_a_time() -> None:
    """Each library's weights are freed before the next's are made."""
    chains: list[int] = []

    def count() -> float:
        chains.append(sum(type(each) is Chain for each in gc.get_objects()))
        return 0.0

    gc.collect()
    clock = JumpingClock(count)
    found = fastest(TINY, batch_size=1, dtype=torch.float32, device="cpu", clock=clock)
    assert set(chains) == {1}
    assert found.library in libraries(torch.float32, "cpu")


def pairs_of(
    call_s: Iterator[float], limit_s: Iterator[float], seconds: float
) -> tuple[LimitRatio, list[str]]:
    """Pairs of calls and limits of given seconds, and their order."""
    clock, order = FakeClock(), list[str]()
    works = {"call": clock.work(call_s), "limit": clock.work(limit_s)}

    def noted(name: str) -> Callable[[], None]:
        def call() -> None:
            order.append(name)
            works[name]()

        return call

    return paired_ratio(noted("call"), noted("limit"), clock, seconds=seconds), order


def test_the_ratio_is_the_limits_time_over_the_calls() -> None:
    """A call of twice the limit's time has a ratio of 0.5; the order alternates."""
    reached, order = pairs_of(repeat(2.0), repeat(1.0), seconds=30.0)
    assert reached.ratio == pytest.approx(0.5)
    assert (reached.limit_s, reached.pairs) == (1.0, 10)
    assert order == ["limit", "call", "call", "limit"] * 5


@pytest.mark.parametrize(
    ("seconds", "pairs"), [(0.0, 2), (2.5, 4), (12.1, 5), (15.0, 5), (1e9, 200)]
)
def test_pairs_fill_the_time_within_bounds(seconds: float, pairs: int) -> None:
    """Pairs of three seconds fill the time: at least four, or two in a short time, at most 200."""
    assert pairs_of(repeat(2.0), repeat(1.0), seconds)[0].pairs == pairs


@given(ratio=st.floats(0.1, 10), slowdowns=st.lists(st.floats(0.5, 4), min_size=4, max_size=40))
@settings(deadline=None)
def test_a_slow_down_of_both_cancels(ratio: float, slowdowns: list[float]) -> None:
    """A slow-down of the machine over the pairs does not change the ratio."""
    limit_s = joined(slowdowns, repeat(1.0))
    call_s = (each / ratio for each in joined(slowdowns, repeat(1.0)))
    reached, _ = pairs_of(call_s, limit_s, seconds=20.0)
    assert reached.ratio == pytest.approx(ratio)


def test_a_chain_is_its_own_limit() -> None:
    """On the real clock a chain against itself has positive times and a finite ratio."""
    chain = build(*TINY)
    reached = paired_ratio(chain, chain, clock_for("cpu"), seconds=0.01)
    assert reached.limit_s > 0
    assert math.isfinite(math.log(reached.ratio))


@pytest.mark.parametrize(
    ("cache_mib", "mib"), [(None, 256), (1, 256), (64, 256), (100, 400), (256, 1024), (999, 1024)]
)
def test_the_copied_buffer_exceeds_the_cache(
    cache_mib: int | None, mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buffer has four times the last-level cache, 256 MiB to 1 GiB; on CUDA 1 GiB."""
    cache_bytes = None if cache_mib is None else cache_mib * 2**20
    monkeypatch.setattr(limits, "last_level_cache_bytes", lambda: cache_bytes)
    assert limits.copy_bytes("cpu") == mib * 2**20
    assert limits.copy_bytes("cuda") == 2**30


def test_bandwidth_counts_reads_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bandwidth is twice the buffer over the median of exactly five copies."""
    monkeypatch.setattr(limits, "last_level_cache_bytes", lambda: None)
    jumps_s = iter([7, 0.5, 7, 9.0, 7, 0.25, 7, 0.5, 7, 0.125])
    clock = JumpingClock(lambda: next(jumps_s))
    assert copy_bytes_per_s("cpu", clock) == 2 * 256 * 2**20 / 0.5


@needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_limits_on_the_gpu(dtype: torch.dtype) -> None:
    """On CUDA cuBLAS agrees with F.linear, and both limits come from the event clock."""
    clock = clock_for("cuda")
    products = costs.products(SMALL, "model")
    chain = fastest(products, batch_size=2, dtype=dtype, device="cuda", clock=clock)
    assert worst_error(chain) < TOLERANCES[dtype]
    assert paired_ratio(chain, chain, clock, seconds=0.1).limit_s > 0
    assert copy_bytes_per_s("cuda", clock) > 0
