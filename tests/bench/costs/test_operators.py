"""bench.costs.profiler: spans of real profiles and of made-up GPU events."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from bench.costs.profiler import spans_of
from bench.records.call_profile import RANGE, Span

CUDA = SimpleNamespace(name="CUDA")


def seen(*, train: bool) -> list[Span]:
    """Spans of a layer's call in a range named ``head``, with or without its backward."""
    layer, x_BD = torch.nn.Linear(8, 8), torch.zeros(4, 8)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        with record_function(f"{RANGE}head"):
            out_BD = layer(x_BD)
        if train:
            out_BD.sum().backward()
    return spans_of(profiler.events(), "cpu")


def event(name: str, start_us: float, end_us: float, **more: Any) -> FunctionEvent:
    """An event in the form that torch's profiler gives on a GPU."""
    kernels_us = more.pop("kernels_us", ())
    made = FunctionEvent(0, name, 1, start_us, end_us, use_device="cuda", **more)
    for each_us in kernels_us:
        made.append_kernel(f"{name} kernel", 0, each_us)
    return made


def test_parents_come_first() -> None:
    """A parent's index is below that of its children."""
    spans = seen(train=True)
    assert all(span.parent is None or span.parent < place for place, span in enumerate(spans))
    names = [span.name for span in spans]
    addmm = spans[names.index("aten::addmm")]
    assert addmm.parent is not None
    assert spans[addmm.parent].name == "aten::linear"


def test_a_range_has_its_component_and_an_operator_none() -> None:
    """The suite's ranges have a component by name; other ranges have none."""
    spans = seen(train=False)
    assert [span.component for span in spans if span.component] == ["head"]
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("mine"):
        torch.zeros(1)
    assert {span.component for span in spans_of(profiler.events(), "cpu")} == {None}


def test_self_times_add_up_to_the_whole() -> None:
    """The self times of a range and all its descendants add up to its time."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function(f"{RANGE}MLP"):
        torch.nn.Linear(8, 8)(torch.zeros(4, 8)).relu()
    whole = next(e for e in profiler.events() if e.cpu_parent is None)
    spans = spans_of(profiler.events(), "cpu")
    assert sum(span.self_s for span in spans) == pytest.approx(whole.cpu_time_total / 1e6)
    assert all(span.self_s >= 0 for span in spans)


def test_nodes_have_the_numbers_of_their_operators() -> None:
    """Nodes and their operators share a number; gradient accumulation has none."""
    spans = seen(train=True)
    forward = {s.sequence for s in spans if s.name == "aten::addmm"}
    backward = {s.sequence for s in spans if s.node and s.name.endswith(" AddmmBackward0")}
    assert forward == backward != {None}
    gradients = [s for s in spans if s.node and s.name.endswith("AccumulateGrad")]
    assert {s.sequence for s in gradients} == {None}
    assert {s.forward_thread for s in spans if not s.node} == {None}
    assert {s.forward_thread for s in spans if s.node} - {0} == {spans[0].thread}


def test_inference_has_no_numbers() -> None:
    """In inference, without autograd, no span has a sequence number."""
    layer = torch.nn.Linear(8, 8)
    with profile(activities=[ProfilerActivity.CPU]) as profiler, torch.inference_mode():
        layer(torch.zeros(4, 8))
    assert {span.sequence for span in spans_of(profiler.events(), "cpu")} == {None}


def test_kernels_are_those_of_the_operator_that_launched_them() -> None:
    """On CUDA an operator has its kernels' time; a range's device copy is not a kernel."""
    name = f"{RANGE}MLP"
    around = event(name, 0, 100, is_user_annotation=True, kernels_us=(55,))
    linear, addmm = event("aten::linear", 1, 50), event("aten::addmm", 2, 40, kernels_us=(30, 20))
    linear.cpu_parent, addmm.cpu_parent = around, linear
    on_device = [
        event("gemm", 10, 40, device_type=CUDA),
        event("splitK", 41, 61, device_type=CUDA),
        event(name, 10, 61, device_type=CUDA),
    ]
    spans = spans_of([addmm, linear, around, *on_device], "cuda")
    assert [(span.name, span.self_s) for span in spans] == [
        *((name, 0), ("aten::linear", 0), ("aten::addmm", pytest.approx(50e-6))),
    ]
    assert [span.parent for span in spans] == [None, 0, 1]


def test_kernels_of_no_operator_are_not_lost() -> None:
    """Kernels without a launching operator, as of a graph, become one further span."""
    launch = event("aten::mm", 0, 10, kernels_us=(5,))
    on_device = [event("mm", 4, 9, device_type=CUDA), event("graph", 10, 17, device_type=CUDA)]
    spans = spans_of([launch, *on_device], "cuda")
    assert [span.name for span in spans] == ["aten::mm", "(kernels of no operator)"]
    assert sum(span.self_s for span in spans) == pytest.approx(12e-6)


def test_an_event_across_threads_is_skipped() -> None:
    """An event that begins on one thread and ends on another is not a span."""
    events = [event("aten::mm", 0, 10), event("a request", 1, 30, is_async=True)]
    assert [span.name for span in spans_of(events, "cpu")] == ["aten::mm"]


def test_spans_are_in_the_order_of_their_starts() -> None:
    """Spans are sorted by start, whatever the profiler's order."""
    events = [event(name, start, start + 1) for name, start in (("c", 9), ("a", 0), ("b", 4))]
    spans = spans_of(events, "cpu")
    assert all(one.name < other.name for one, other in pairwise(spans))
