"""bench.costs.limits: the fastest library wins each race, and times give the right ratios."""

import gc
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain as joined
from itertools import cycle, repeat
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.costs import limits
from bench.costs.libraries import AnyProduct, Step, libraries
from bench.costs.limits import Chain, LimitRatio, copy_bytes_per_s, fastest, paired_ratio, race
from bench.timing.clocks import clock_for
from helpers.clocks import FakeClock, FakeStamp
from vitcore import costs
from vitcore.config import ViTConfig
from vitcore.costs import Core, Product

SMALL = ViTConfig.from_name("B/32", image_size=64, depth=2)
TINY = (Product(rows=3, inputs=8, outputs=16), Product(rows=3, inputs=16, outputs=8))
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


def build(*products: AnyProduct, **changes: Any) -> Chain:
    """Build a chain of small products for two images on the CPU."""
    given = {"batch_size": 2, "dtype": torch.float32, "device": "cpu", **changes}
    named = [(each, "SDPA" if isinstance(each, Core) else "F.linear") for each in products]
    return Chain(named, **given)


@pytest.mark.parametrize("component", costs.COMPONENTS)
def test_flops_are_those_of_the_arithmetic(component: str) -> None:
    """A chain has two FLOPs per multiply-accumulate of its component."""
    chain = build(*costs.products(SMALL, component), batch_size=5)
    assert chain.flops == 5 * costs.cost_of(SMALL, component).flops


def test_products_of_equal_count_take_turns() -> None:
    """The steps have the model's order: the patcher, block after block, the head."""
    found = build(*costs.products(SMALL, "model")).steps
    linears = [(10, 768, 2304), (10, 768, 768), (10, 768, 3072), (10, 3072, 768)]
    block = [linears[0], (2, 12, 5, 64), *linears[1:]]
    shapes = [(*step.operands[0].shape, *map(len, step.weight[:1])) for step in found]
    assert shapes == [(8, 3072, 768), *block, *block, (2, 768, 1000)]


def test_the_library_with_most_work_is_named_first() -> None:
    """A chain of several libraries names each once, by the operations that it does."""
    small, large = TINY[0], Product(rows=30, inputs=8, outputs=16)
    named = [(small, "addmm"), (large, "F.linear"), (small, "addmm")]
    chain = Chain(named, batch_size=1, dtype=torch.float32, device="cpu")
    assert chain.library == "F.linear, addmm"
    assert chain.flops == 2 * (2 * small.macs + large.macs)
    assert [step.library for step in chain.steps] == ["addmm", "F.linear", "addmm"]


def test_a_call_does_every_step_in_inference_mode() -> None:
    """Each product runs once, in order, without a graph for backward."""
    chain, seen = build(*TINY), list[tuple[int, bool]]()

    def noting(x_RI: torch.Tensor) -> torch.Tensor:
        seen.append((x_RI.shape[1], torch.is_inference_mode_enabled()))
        return x_RI

    chain.steps = [replace(step, compute=noting) for step in chain.steps]
    with torch.enable_grad():
        chain()
    assert seen == [(8, True), (16, True)]


def race_of(seconds: float, **times_s: Iterator[float]) -> tuple[str, str]:
    """Race calls of given seconds, the first of which warms up; the winner and the order of calls.

    The name of a call is one letter.
    """
    clock, order = FakeClock(), list[str]()

    def noted(name: str, work: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            order.append(name)
            work()

        return call

    rivals = {name: noted(name, clock.work(each)) for name, each in times_s.items()}
    return race(rivals, clock, seconds=seconds), "".join(order)


def test_a_slow_first_call_does_not_lose() -> None:
    """A call that has to warm up wins by its later calls, and all take turns in both orders."""
    won, order = race_of(
        1.0, a=repeat(1.2), b=joined([9.0], repeat(1.0)), c=joined([0.1], repeat(1.1))
    )
    assert won == "b"
    assert order[:9] == "abc" + "abc" + "cba"


def test_a_disturbed_call_does_not_lose() -> None:
    """The fastest by the median wins, although a rival has the fastest call of all."""
    fast = joined([1.0], [1.0, 9.0], repeat(1.0))
    lucky = joined([1.1], [1.1, 0.6], repeat(1.1))
    assert race_of(20.0, a=lucky, b=fast)[0] == "b"


def test_one_library_needs_no_race() -> None:
    """A single call is only warmed up."""
    assert race_of(1.0, a=repeat(1.0)) == ("a", "a")


def test_a_slow_rival_is_given_up_early() -> None:
    """A rival of twice the time is given up after two rounds, of eight times it after one."""
    assert race_of(1e9, a=repeat(2.1), b=repeat(1.0)) == ("b", "ab" + "abba")
    assert race_of(1e9, a=repeat(8.1), b=repeat(1.0)) == ("b", "ab" + "ab")
    assert race_of(1e9, a=joined([1.0, 7.9], repeat(0.7)), b=repeat(1.0))[0] == "a"


def test_a_tie_ends_the_race() -> None:
    """Rivals within 1 % are not worth all the time; one of 1.5 % more is told from the leader."""
    noise = [0.001, -0.001, 0.0015, -0.002, 0.0005, -0.0005]
    one = [1 + each for each in noise * 40]
    other = [1.002 + each for each in reversed(noise * 40)]
    _, order = race_of(1e9, a=iter(one), b=iter(other))
    assert len(order) < 30
    won, order = race_of(1e9, a=(1.015 * each for each in one), b=iter(other))
    assert won == "b"
    assert len(order) < 30


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(0.0, 2), (0.2, 2), (0.5, 4), (1.0, 6), (40.0, 20)]
)
def test_a_race_fills_its_time(seconds: float, rounds: int) -> None:
    """Rounds of two seconds fill the time: at least six, or two if these take 16 times it."""
    _, order = race_of(seconds, a=cycle([1.0, 1.4, 0.6]), b=cycle([1.0, 0.6, 1.4]))
    assert (len(order) - 2) / 2 == rounds


@given(
    slower=st.floats(1.1, 1.9),
    slowdowns=st.lists(st.floats(0.5, 4), min_size=60, max_size=60),
    place=st.integers(0, 2),
)
@settings(deadline=None)
def test_a_slow_down_of_all_changes_no_winner(
    slower: float, slowdowns: list[float], place: int
) -> None:
    """The machine may change its speed from round to round: the faster library wins."""
    names = ["a", "b", "c"]
    times_s = {
        name: iter([1.0] + [(1 if name == names[place] else slower) * each for each in slowdowns])
        for name in names
    }
    assert race_of(20.0, **times_s)[0] == names[place]


def test_each_product_has_its_own_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain mixes the libraries that won, and a product that occurs twice races once."""
    seen: list[set[str]] = []

    def fake(rivals: dict[str, object], _clock: object, *, seconds: float) -> str:
        seen.append(set(rivals))
        assert seconds == 0.25
        return ("F.linear", "addmm", "bmm")[len(seen) - 1]

    monkeypatch.setattr(limits, "race", fake)
    core = Core(tokens=3, heads=2, head_width=4)
    products = (TINY[0], TINY[1], core, TINY[0])
    given: dict[str, Any] = {"batch_size": 1, "dtype": torch.float32, "device": "cpu"}
    found = fastest(products, clock=FakeClock(), seconds=1.0, **given)
    assert [step.library for step in found.steps] == ["F.linear", "addmm", "bmm", "F.linear"]
    assert [len(each) for each in seen] == [
        len(libraries(each, torch.float32, "cpu")) for each in products[:3]
    ]


def test_weights_of_one_race_are_in_memory_at_a_time() -> None:
    """The copies of one product's race are freed before those of the next are made."""
    shapes: list[set[tuple[int, ...]]] = []

    def count() -> float:
        found = [each for each in gc.get_objects() if type(each) is Step]
        shapes.append({tuple(step.weight[0].shape) for step in found})
        return 1.0

    gc.collect()
    clock = JumpingClock(count)
    given: dict[str, Any] = {"batch_size": 1, "dtype": torch.float32, "device": "cpu"}
    fastest(TINY, clock=clock, seconds=0.0, **given)
    assert {frozenset(each) for each in shapes} == {frozenset({(16, 8)}), frozenset({(8, 16)})}


@pytest.mark.parametrize(
    ("product", "cache_mib", "expected"),
    [
        (Product(rows=1, inputs=1024, outputs=1024, count=24), 16, 4),
        (Product(rows=1, inputs=1024, outputs=1024, count=3), 16, 3),
        (Product(rows=1, inputs=1024, outputs=1024, count=24), None, 8),
        (Core(tokens=3, heads=2, head_width=4, count=24), 16, 1),
    ],
)
def test_copies_of_a_race_fill_the_cache_twice(
    product: AnyProduct, cache_mib: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two libraries of 4 MiB a weight: 8 MiB a copy, at most the layers that the model has."""
    cache_bytes = None if cache_mib is None else cache_mib * 2**20
    monkeypatch.setattr(limits, "last_level_cache_bytes", lambda: cache_bytes)
    assert limits._copies(product, 2 * 4) == expected


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
    assert reached.ratio.value == pytest.approx(0.5)
    assert (reached.limit_s, reached.pairs) == (1.0, 10)
    assert order == ["limit", "call", "call", "limit"] * 5


@pytest.mark.parametrize(
    ("seconds", "pairs"), [(0.0, 2), (1.4, 4), (2.5, 6), (18.1, 7), (21.0, 7), (1e9, 200)]
)
def test_pairs_fill_the_time_within_bounds(seconds: float, pairs: int) -> None:
    """Pairs of three seconds fill the time: at least six, or two in a short time, at most 200."""
    assert pairs_of(repeat(2.0), repeat(1.0), seconds)[0].pairs == pairs


@given(ratio=st.floats(0.1, 10), slowdowns=st.lists(st.floats(0.5, 4), min_size=4, max_size=40))
@settings(deadline=None)
def test_a_slow_down_of_both_cancels(ratio: float, slowdowns: list[float]) -> None:
    """A slow-down of the machine over the pairs does not change the ratio."""
    limit_s = joined(slowdowns, repeat(1.0))
    call_s = (each / ratio for each in joined(slowdowns, repeat(1.0)))
    reached, _ = pairs_of(call_s, limit_s, seconds=20.0)
    assert reached.ratio.value == pytest.approx(ratio)
    assert reached.ratio.low == pytest.approx(reached.ratio.high)


def test_a_chain_is_its_own_limit() -> None:
    """On the real clock a chain against itself has positive times and an interval."""
    chain = build(*TINY)
    reached = paired_ratio(chain, chain, clock_for("cpu"), seconds=0.01)
    assert reached.limit_s > 0
    assert reached.ratio.low is not None
    assert reached.ratio.high is not None
    assert 0 < reached.ratio.low < reached.ratio.value < reached.ratio.high < math.inf


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
    """On CUDA both limits come from the event clock."""
    clock = clock_for("cuda")
    products = costs.products(SMALL, "model")
    given: dict[str, Any] = {"batch_size": 2, "dtype": dtype, "device": "cuda"}
    chain = fastest(products, clock=clock, seconds=0.1, **given)
    assert paired_ratio(chain, chain, clock, seconds=0.1).limit_s > 0
    assert copy_bytes_per_s("cuda", clock) > 0
