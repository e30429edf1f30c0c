"""component_ranges: every operator of every arm is counted for its component."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

from bench.analysis.attribution import owners
from bench.arms.building import build_candidate
from bench.arms.candidate import Candidate
from bench.costs.component_ranges import component_ranges
from bench.costs.profiler import spans_of
from bench.records.call_profile import BETWEEN, CALL_COMPONENTS, Span
from bench.records.comparison import Arm, Workload
from helpers.variants import TINY
from vitcore.config import ATTENTIONS, PATCHERS

pytestmark = pytest.mark.usefixtures("tiny")
SMALL = Workload(
    component="block",
    mode="train",
    device="cpu",
    variant="Ti/16",
    patch_size=16,
    image_size=32,
    batch_size=2,
)
DEPTH = TINY["depth"]
FORWARD = {"patcher", "embedding", "norm", "attention", "MLP", "head", BETWEEN}


def candidate(component: str = "block", mode: str = "train", **levels: Any) -> Candidate:
    """A small arm, by default with sdpa, after one call, so that its optimizer has state."""
    workload = replace(SMALL, component=component, mode=mode)
    arm = build_candidate(Arm(**{"attention": "sdpa", **levels}), workload)
    arm()
    return arm


def watch(arm: Candidate) -> list[Span]:
    """Spans of one call."""
    activities = [ProfilerActivity.CPU]
    with arm.surroundings(), component_ranges(arm), profile(activities=activities) as profiler:
        arm.once()
    return spans_of(profiler.events(), "cpu")


def count(spans: Iterable[Span], *names: str) -> Counter[str]:
    """Number of operators of some names by component."""
    spans = list(spans)
    pairs = zip(spans, owners(spans), strict=True)
    return Counter(owner for span, owner in pairs if span.name in names)


def components(arm: Candidate) -> set[str]:
    """All components of one call."""
    return set(owners(watch(arm)))


def test_forward_of_a_model() -> None:
    """Each MLP and attention has two products, the head and the patcher one each."""
    spans = watch(candidate("model", "forward", patcher="linear"))
    products = {"MLP": 2 * DEPTH, "attention": 2 * DEPTH, "head": 1, "patcher": 1}
    assert count(spans, "aten::addmm") == products
    assert count(spans, "aten::native_layer_norm") == {"norm": 2 * DEPTH, "head": 1}
    assert count(spans, "aten::gelu") == {"MLP": DEPTH}
    assert count(spans, "aten::add") == {BETWEEN: 2 * DEPTH, "embedding": 1}
    assert set(owners(spans)) == FORWARD


def test_a_training_step_of_a_model() -> None:
    """Backward has two products for each in forward, except the patcher, whose input is data."""
    spans = watch(candidate("model", patcher="linear"))
    products = {"MLP": 4 * DEPTH, "attention": 4 * DEPTH, "head": 2, "patcher": 1}
    assert count(spans, "aten::mm") == products
    norms = {"norm": 2 * DEPTH, "head": 1}
    assert count(spans, "aten::native_layer_norm_backward") == norms
    assert count(spans, "aten::gelu_backward") == {"MLP": DEPTH}
    assert count(spans, "aten::_log_softmax", "aten::_log_softmax_backward_data") == {"loss": 2}
    assert count(spans, "aten::addcdiv_").keys() == {"optimizer"}
    assert set(owners(spans)) == FORWARD | {"loss", "optimizer"} < set(CALL_COMPONENTS)


def test_gradients_are_accumulated_for_their_component() -> None:
    """Each parameter's gradient is accumulated once, in its component."""
    arm = candidate()
    spans = watch(arm)
    nodes = [
        (span, owner)
        for span, owner in zip(spans, owners(spans), strict=True)
        if span.node and span.sequence is None
    ]
    assert Counter(owner for _, owner in nodes) == {"norm": 4, "attention": 4, "MLP": 4}
    assert len(nodes) == len(list(arm.module.parameters()))


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_way_to_attend_is_attention(attention: str, mode: str) -> None:
    """Every attention kernel counts as attention, forward and backward."""
    spans = watch(candidate(mode=mode, attention=attention))
    parts = ("attention", "softmax", "bmm", "baddbmm")
    names = {span.name for span in spans if any(part in span.name for part in parts)}
    names.discard("vitbench::attention")
    assert names
    assert count(spans, *names).keys() == {"attention"}
    assert count(spans, "aten::gelu") == {"MLP": 1}


@pytest.mark.parametrize("patcher", PATCHERS)
def test_every_patcher_is_the_patcher(patcher: str) -> None:
    """A patcher alone is one component beside loss and optimizer."""
    found = components(candidate("patcher", patcher=patcher))
    assert found == {"patcher", "loss", "optimizer", BETWEEN}


def test_attention_alone() -> None:
    """An attention alone is one component."""
    assert components(candidate("attention", "forward")) == {"attention", BETWEEN}


def test_recomputation_counts_for_its_component() -> None:
    """Recomputed forward operators count for their component; residuals stay outside the MLP."""
    once, again = watch(candidate()), watch(candidate(checkpoint="blocks"))
    assert count(again, "aten::mm") == count(once, "aten::mm") == {"MLP": 4, "attention": 4}
    assert count(again, "aten::gelu") == {"MLP": 2}
    products = count(again, "aten::addmm")
    assert products["attention"] == 4
    assert products["MLP"] in (3, 4)  # The last one's result is not needed.
    assert count(again, "aten::add").keys() == {BETWEEN}


def test_scaling_of_the_loss_is_loss_and_its_undoing_optimizer() -> None:
    """Loss scaling for float16 counts as loss, unscaling as optimizer."""
    spans = watch(candidate(precision="amp_fp16"))
    unscale = "aten::_amp_foreach_non_finite_check_and_unscale_"
    assert count(spans, unscale) == {"optimizer": 1}
    assert count(spans, "aten::_amp_update_scale_") == {"optimizer": 1}
    assert count(spans, "aten::mm") == {"MLP": 4, "attention": 4}


@pytest.mark.usefixtures("captured_only")
@pytest.mark.parametrize(
    ("component", "how", "expected"),
    [
        ("block", "compile_blocks", {"compiled", BETWEEN}),
        ("model", "compile", {"compiled", BETWEEN}),
        ("model", "compile_blocks", {"compiled", BETWEEN, "patcher", "embedding", "head"}),
    ],
)
def test_a_compiled_module_is_one_component(component: str, how: str, expected: set[str]) -> None:
    """A compiled module is one component and is not recompiled for profiling."""
    arm = candidate(component, "forward", compile=how)
    before = counters["stats"]["unique_graphs"]
    assert components(arm) == expected
    assert counters["stats"]["unique_graphs"] == before > 0


@pytest.mark.usefixtures("captured_only")
def test_backward_of_a_captured_module_is_compiled() -> None:
    """The backward node of a compiled module counts for that module."""
    spans = watch(candidate(compile="compile_blocks"))
    assert count(spans, "aten::mm") == {"compiled": 8}
    assert count(spans, "aten::addcdiv_").keys() == {"optimizer"}


@pytest.mark.slow
def test_generated_code_is_compiled() -> None:
    """Operators and nodes of Inductor's code count for its module, forward and backward."""
    arm = candidate("attention", compile="compile")
    before = counters["stats"]["unique_graphs"]
    spans = watch(arm)
    assert counters["stats"]["unique_graphs"] == before > 0
    assert count(spans, "aten::mm").keys() == {"compiled"}
    assert set(owners(spans)) == {"compiled", "loss", "optimizer", BETWEEN}


def test_afterwards_the_arm_is_as_before() -> None:
    """No range and no wrapper function stays in the arm."""
    arm = candidate("model")
    before = dict(vars(arm)), dict(vars(arm.scaler))
    watch(arm)
    assert (dict(vars(arm)), dict(vars(arm.scaler))) == before
    for module in arm.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_the_call_computes_the_same() -> None:
    """Profiling does not change any value."""
    arm = candidate("model", "forward")
    plain = arm.outputs()
    with component_ranges(arm):
        watched = arm.outputs()
    assert all(torch.equal(watched[name], plain[name]) for name in plain)


def test_a_call_that_fails_closes_its_ranges() -> None:
    """After a failed call the next one is attributed correctly."""
    arm = candidate("model", "forward")
    with component_ranges(arm):
        with arm.surroundings(), pytest.raises(ValueError, match="image has shape"):
            arm.work(torch.zeros(1, 3, 5, 5))
        with arm.surroundings(), profile(activities=[ProfilerActivity.CPU]) as profiler:
            arm.once()
    spans = spans_of(profiler.events(), "cpu")
    products = {"MLP": 2 * DEPTH, "attention": 2 * DEPTH, "head": 1}
    assert count(spans, "aten::addmm") == products
