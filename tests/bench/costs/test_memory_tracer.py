"""bench.costs.memory_tracer: every storage from birth to death, on real tensors."""

import torch
from torch import nn

from bench.analysis.memory_timeline import peak
from bench.costs.memory_tracer import Tracker

KIBI = 1024


def test_births_and_deaths() -> None:
    """A storage lives from the operator that makes it until its last tensor is gone."""
    with Tracker() as tracker:
        first = torch.zeros(KIBI, dtype=torch.uint8)
        second = first + 1
        del first
        third = second + 1
    sizes = [(block.size_bytes, block.died is None) for block in tracker.blocks()]
    assert sizes == [(KIBI, False), (KIBI, True), (KIBI, True)]
    assert peak(tracker.blocks()).total_bytes == 2 * KIBI
    assert third is not second


def test_a_view_shares_its_storage() -> None:
    """A view adds no bytes and keeps its storage alive."""
    with Tracker() as tracker:
        view = torch.zeros(KIBI, dtype=torch.uint8).view(2, -1)[0]
    (only,) = tracker.blocks()
    assert (only.size_bytes, only.died) == (KIBI, None)
    assert view.numel() == KIBI // 2


def test_memory_comes_in_granules() -> None:
    """Sizes are rounded up to the allocator's granule."""
    with Tracker(granule_bytes=512) as tracker:
        kept = [torch.zeros(count, dtype=torch.uint8) for count in (1, 512, 513)]
    assert [block.size_bytes for block in tracker.blocks()] == [512, 512, 1024]
    assert len(kept) == 3


def test_names_are_given_before_and_after() -> None:
    """Parameters are named up front, an operator's results afterwards."""
    layer = nn.Linear(4, 4)
    with Tracker() as tracker:
        tracker.label("parameters", layer.parameters())
        out = layer(torch.zeros(1, 4))
        tracker.relabel("temporaries", "activations")
        more = out + 1
    kinds = [block.kind for block in tracker.blocks() if block.died is None]
    # The layer keeps its input for the backward pass.
    assert kinds == ["parameters", "parameters", "activations", "activations", "temporaries"]
    assert more.shape == out.shape


def test_earlier_blocks_are_left_out() -> None:
    """Blocks since an event exclude those that died before it."""
    with Tracker() as tracker:
        gone = torch.zeros(1)
        kept = torch.zeros(2)
        del gone
        since = tracker.events
        late = torch.zeros(3)
    assert [block.size_bytes for block in tracker.blocks(since)] == [8, 12]
    assert kept.numel() < late.numel()
