"""bench.worker.inside: parts measured inside calls of a model, in units of the whole."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from bench.arms.agreement import TOLERANCES
from bench.records.comparison import CHOICE, MODEL, Arm, Comparison
from bench.records.sample import Sample
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.grid import Selection, expand
from bench.worker import inside
from bench.worker.inside import measure_inside
from helpers.clocks import FakeClock, FakeWatch
from helpers.jobs import make_group
from vitcore.attention import SdpaAttention, TorchAttention
from vitcore.blocks import Mlp
from vitcore.patchers import ConvPatcher, LinearPatcher, UnfoldPatcher

SMALL = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
ATTENTIONS, PATCHER_ARMS = list(expand(ATTENTION, SMALL)), list(expand(PATCHERS, SMALL))
CONTROL, *_, SDPA = ATTENTIONS
BLOCK_CONTROL = replace(
    CONTROL, factor=CHOICE, workload=replace(CONTROL.workload, component="block")
)
# As different as an arm of a whole block can be without a compiler.
BLOCK = replace(BLOCK_CONTROL, arm=Arm(attention="sdpa", layout="channels_last"))
GROUP = [*ATTENTIONS, *PATCHER_ARMS, BLOCK_CONTROL, BLOCK]
DEPTH = 12


@pytest.fixture(autouse=True)
def _few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call have one block for each arm, which suffices and is built soon."""
    monkeypatch.setitem(inside._CALL_FLOPS, "cpu", 0.0)


def measured(*comparisons: Comparison, **changes: Any) -> dict[str, Sample]:
    """Measure a group inside a model for the fewest calls; return its samples by key."""
    samples = measure_inside(make_group(*comparisons, **changes))
    assert [each.key for each in samples] == [each.key for each in comparisons]
    return {each.key: each for each in samples}


def test_the_group_is_measured_inside() -> None:
    """All comparisons of the tests are parts of one model, measured together."""
    assert all(each.is_inside and each.cache == MODEL for each in GROUP)
    assert len({each.group for each in GROUP}) == 1


def test_every_part_has_times_and_a_share_of_the_whole() -> None:
    """Every sample has a pair for each call, its error, and the model's time with its share."""
    samples = measured(*GROUP, seconds=0.5)
    calls = {len(each.arm_s) for each in samples.values()}
    assert len(calls) == 1
    assert min(calls) >= 2
    for each in samples.values():
        assert (each.status, each.error, each.group, each.late) == (
            *("ok", None, CONTROL.group),
            (),
        )
        assert len(each.baseline_s) == len(each.arm_s)
        assert min(each.arm_s + each.baseline_s) > 0
        assert each.output_error is not None
        assert each.output_error < 1e-5
        assert each.gradient_error is None
        assert each.whole_s is not None
        assert each.share is not None
        assert 0 < each.share < 1
        assert 0 < each.timed_s <= each.measure_s
    attention, block = (samples[each.key].share for each in (CONTROL, BLOCK_CONTROL))
    assert (attention or 1.0) < (block or 0.0)
    assert len({each.whole_s for each in samples.values()}) == 1


SECONDS: dict[type[nn.Module], float] = {
    ConvPatcher: 2.0,
    LinearPatcher: 1.0,
    UnfoldPatcher: 4.0,
    TorchAttention: 8.0,
    SdpaAttention: 4.0,
    Mlp: 16.0,
}


@pytest.fixture(name="counted")
def _counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let modules take given seconds of the clock, and the last layer of a model 32."""
    clock = FakeClock()

    def advance(module: nn.Module, *_: object) -> None:
        is_last = isinstance(module, nn.Linear) and module.out_features == 1000
        clock.now_s += 32.0 if is_last else SECONDS.get(type(module), 0.0)

    monkeypatch.setattr("bench.timing.clocks.time", clock.as_time())
    hook = register_module_forward_hook(advance)
    yield
    hook.remove()


@pytest.mark.usefixtures("counted")
def test_times_shares_and_the_whole_are_those_of_the_model() -> None:
    """A model of twelve blocks takes 32 + 2 + 12 x (8 + 16) s, whatever the depth of a call."""
    samples = measured(CONTROL, SDPA, *PATCHER_ARMS, BLOCK_CONTROL, BLOCK)
    whole_s = 32.0 + 2.0 + DEPTH * 24.0
    found = [
        (each.baseline_s[0], each.arm_s[0], each.share, each.whole_s) for each in samples.values()
    ]
    shares = {name: s / whole_s for name, s in (("a", 96.0), ("p", 2.0), ("b", 288.0))}
    assert found == [
        pytest.approx(each)
        for each in (
            (8.0, 8.0, shares["a"], whole_s),
            (8.0, 4.0, shares["a"], whole_s),
            (2.0, 2.0, shares["p"], whole_s),
            (2.0, 4.0, shares["p"], whole_s),
            (2.0, 1.0, shares["p"], whole_s),
            (24.0, 24.0, shares["b"], whole_s),
            (24.0, 20.0, shares["b"], whole_s),
        )
    ]
    for each in samples.values():
        assert len(set(each.baseline_s)) == len(set(each.arm_s)) == 1


@pytest.mark.usefixtures("counted")
def test_the_seconds_of_all_calls_are_shared() -> None:
    """Together the samples have the seconds of all timed calls, each once."""
    samples = measured(CONTROL, SDPA)
    calls = len(samples[CONTROL.key].arm_s)
    # Three blocks: baseline, copy and sdpa.
    call_s = 2.0 + (8.0 + 16.0) + (8.0 + 16.0) + (4.0 + 16.0) + 32.0
    assert sum(each.timed_s for each in samples.values()) == pytest.approx(calls * call_s)


@pytest.mark.usefixtures("counted")
def test_without_patchers_to_compare_the_models_own_is_called_once() -> None:
    """The rest of a call is timed as well, and the patcher has its place in the whole."""
    samples = measured(CONTROL, SDPA)
    assert samples[SDPA.key].whole_s == pytest.approx(32.0 + 2.0 + DEPTH * 24.0)


def test_an_arm_that_finds_no_memory_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its status is its own, and the calls of the others are complete."""
    told: list[BaseException] = []

    def fail(*_: object) -> torch.Tensor:
        raise MemoryError

    monkeypatch.setattr(SdpaAttention, "attend", fail)
    samples = measured(SDPA, CONTROL, *ATTENTIONS[1:-1], failed=told.append)
    failed = samples.pop(SDPA.key)
    assert (failed.status, failed.arm_s, failed.whole_s) == ("oom", (), None)
    assert {each.status for each in samples.values()} == {"ok"}
    assert all(each.arm_s for each in samples.values())
    assert [type(each) for each in told] == [MemoryError]


def test_an_arm_that_raises_in_a_drawn_call_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a status and no times; the others have a pair for each call that was complete."""
    attend, calls = SdpaAttention.attend, iter(range(100))

    def tires(self: SdpaAttention, *given: torch.Tensor) -> torch.Tensor:
        if next(calls) >= 4:
            raise ValueError("no such head")
        return attend(self, *given)

    monkeypatch.setattr(SdpaAttention, "attend", tires)
    samples = measured(CONTROL, SDPA, PATCHER_ARMS[1], seconds=60.0, most_rounds=8)
    failed = samples.pop(SDPA.key)
    assert (failed.status, failed.arm_s) == ("crashed", ())
    assert "ValueError: no such head" in str(failed.error)
    assert [(each.status, len(each.arm_s)) for each in samples.values()] == [("ok", 8)] * 2
    assert next(calls) == 5


def test_a_baseline_that_raises_in_a_drawn_call_ends_the_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without its times no other arm's mean anything."""
    embed, calls = ConvPatcher.embed, iter(range(100))

    def tires(self: ConvPatcher, image_BCHW: torch.Tensor) -> torch.Tensor:
        if next(calls) >= 8:
            raise ValueError("no such patch")
        return embed(self, image_BCHW)

    monkeypatch.setattr(ConvPatcher, "embed", tires)
    samples = measured(SDPA, seconds=60.0, most_rounds=60)
    assert [each.status for each in samples.values()] == ["crashed"]


def test_arms_that_cannot_run_here_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a missing kernel nor a missing compiler ends the group."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    kernel = replace(CONTROL, factor="kernel", arm=Arm(attention="sdpa", kernel="cudnn"))
    compiled = replace(BLOCK, factor="compile", arm=Arm(compile="compile_blocks"))
    samples = measured(kernel, compiled, CONTROL)
    assert samples[kernel.key].status == "skipped"
    assert "no such kernel" in str(samples[kernel.key].error)
    assert samples[compiled.key].status == "skipped"
    assert "apt-get install g++" in str(samples[compiled.key].error)
    assert samples[CONTROL.key].arm_s


def test_a_failing_baseline_is_the_result_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a baseline there is no model to measure in."""

    def fail(*_: object) -> torch.Tensor:
        raise ValueError("no such head")

    monkeypatch.setattr(TorchAttention, "forward", fail)
    samples = measured(CONTROL, SDPA)
    assert {each.status for each in samples.values()} == {"crashed"}
    assert "ValueError: no such head" in str(samples[SDPA.key].error)


def test_wrong_parts_have_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is checked by itself: an arm beyond its tolerance is not called."""
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-12)
    samples = measured(CONTROL, SDPA, PATCHER_ARMS[1])
    for each in samples.values():
        assert (each.status, each.arm_s) == ("wrong", ())
        assert "fp32 allows 1e-12" in str(each.error)


def test_checked_arms_are_not_checked_again() -> None:
    """An arm that an earlier pass checked is measured at once."""
    samples = measured(CONTROL, SDPA, checked=(SDPA.key,))
    assert samples[SDPA.key].output_error is None
    assert samples[SDPA.key].arm_s
    assert samples[CONTROL.key].output_error is not None


def test_a_control_is_a_copy() -> None:
    """Controls of all places share one copy, whose times are its own."""
    samples = measured(CONTROL, PATCHER_ARMS[0], BLOCK_CONTROL)
    for each in samples.values():
        assert each.status == "ok"
        assert each.arm_s != each.baseline_s


@pytest.mark.parametrize("last", [0, 1, 3])
def test_an_interrupt_ends_with_the_call(last: int) -> None:
    """The call under way is finished; every arm has a pair for each call so far."""
    watch = FakeWatch(disturbed=(0, 2))
    samples = measured(
        *(CONTROL, SDPA, PATCHER_ARMS[1]),
        seconds=60.0,
        watch=watch,
        stop=lambda: watch.calls.count("pair") >= last,
    )
    for each in samples.values():
        assert each.status == "ok"
        assert len(each.baseline_s) == len(each.arm_s) == last
        assert each.disturbed == tuple(index for index in (0, 2) if index < last)
        assert (each.whole_s is None) is (last == 0)


def test_calls_have_a_limit() -> None:
    """No more calls than asked for are made; each arm and each call gives a sign of life."""
    signs: list[None] = []
    changes = {"seconds": 60.0, "most_rounds": 8, "is_alive": lambda: signs.append(None)}
    samples = measured(CONTROL, SDPA, **changes)
    assert {len(each.arm_s) for each in samples.values()} == {8}
    assert len(signs) == len(samples) + 8


def test_a_lower_precision_is_that_of_all_parts() -> None:
    """At bf16 baseline and arms have bf16 weights, and its tolerance."""
    low = [
        replace(each, baseline=Arm(precision="bf16"), arm=replace(each.arm, precision="bf16"))
        for each in (CONTROL, SDPA, PATCHER_ARMS[2])
    ]
    for each in measured(*low).values():
        assert each.status == "ok"
        assert 1e-4 < (each.output_error or 0.0) < 0.1


ARMS = st.lists(st.sampled_from(GROUP), min_size=1, unique=True)


@given(comparisons=ARMS, gflop=st.floats(0, 1e3))
def test_a_call_has_a_block_for_each_arm(comparisons: list[Comparison], gflop: float) -> None:
    """It has at least one, at most those of the model, and more only where they are cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(inside._CALL_FLOPS, "cpu", gflop * 1e9)
        depth = inside._depth(comparisons)
        patch.setitem(inside._CALL_FLOPS, "cpu", 0.0)
        least = inside._depth(comparisons)
    parts = {each.arm for each in comparisons if each.workload.component != "patcher"}
    assert least == len(parts) + 1
    assert least <= depth <= DEPTH
    assert inside._depth(comparisons[:1]) <= least


@pytest.mark.usefixtures("captured_only")
def test_a_compiled_block_has_its_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call is timed before the calls; all others are in the baseline's company."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "before"))
    compiled = replace(BLOCK, factor="compile", arm=Arm(compile="compile_blocks"))
    samples = measured(BLOCK_CONTROL, compiled, compiled=tmp_path)
    found = samples[compiled.key]
    assert (found.status, found.first_call_cache) == ("ok", "cold"), found.error
    assert (found.first_call_s or 0.0) > 10 * max(found.arm_s)
    assert (found.output_error or 1.0) < 1e-5
    assert samples[BLOCK_CONTROL.key].first_call_s is None
