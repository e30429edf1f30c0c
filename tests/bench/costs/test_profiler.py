"""bench.costs.profiler: alternating plain and profiled calls, and their selection."""

from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from bench.arms.building import build_candidate
from bench.arms.candidate import Candidate
from bench.costs.profiler import ProfilingResult, profile_calls
from bench.records.comparison import Arm, Workload

PATCHER = Workload(
    component="patcher",
    mode="forward",
    device="cpu",
    variant="B/32",
    patch_size=32,
    image_size=64,
    batch_size=1,
)


class Counting(Candidate):
    """A patcher that records for each call whether a profiler was active."""

    watched: list[bool]

    def once(self) -> None:
        """Do the work and record the profiler's state."""
        self.watched.append(torch.autograd.profiler._is_profiler_enabled)
        super().once()


@pytest.fixture(name="arm")
def _arm() -> Counting:
    made = build_candidate(Arm(), PATCHER)
    arm = Counting(made.arm, PATCHER, made.work, made.inputs)
    arm.watched = []
    arm.once()
    arm.watched.clear()
    return arm


def ignore(_: str) -> None:
    """Discard progress."""


def seen(*profiled_s: float) -> ProfilingResult:
    """Profiled calls of given seconds."""
    found: dict[str, Any] = {
        "profiled_s": list(profiled_s),
        "profilers": [profile(activities=[ProfilerActivity.CPU]) for _ in profiled_s],
    }
    return ProfilingResult(**found)


def test_plain_and_profiled_calls_alternate(arm: Counting) -> None:
    """After one warm-up call the order within pairs alternates."""
    found = profile_calls(arm, 4, ignore)
    pairs = [[False, True], [True, False], [False, True], [True, False]]
    assert arm.watched == [True, *(each for pair in pairs for each in pair)]
    assert len(found.plain_s) == len(found.profiled_s) == len(found.profilers) == 4
    assert min(found.plain_s + found.profiled_s) > 0
    assert found.snapshot is None


def test_every_profile_has_one_call(arm: Counting) -> None:
    """Each profile has exactly one call, without those of earlier pairs."""
    for profiler in profile_calls(arm, 3, ignore).profilers:
        names = [event.name for event in profiler.events()]
        assert names.count("vitbench::patcher") == 1
        assert names.count("aten::conv2d") == 1


def test_progress_counts_calls(arm: Counting) -> None:
    """Progress has the number of the next call and the total."""
    told: list[str] = []
    profile_calls(arm, 2, told.append)
    assert told == ["call 1 of 2", "call 2 of 2"]


def test_disturbed_pairs_are_counted_among_those_measured(arm: Counting) -> None:
    """At most all pairs are disturbed, and causes are listed exactly if one is."""
    found = profile_calls(arm, 2, ignore)
    assert 0 <= found.disturbed <= 2
    assert bool(found.causes) == bool(found.disturbed)


def test_the_faster_half_counts() -> None:
    """The faster half is kept, fastest first; of an odd number the middle one too."""
    five = seen(3.0, 1.0, 5.0, 2.0, 4.0)
    assert five.calm() == [five.profilers[place] for place in (1, 3, 0)]
    two, one = seen(2.0, 1.0), seen(1.0)
    assert two.calm() == [two.profilers[1]]
    assert one.calm() == one.profilers
