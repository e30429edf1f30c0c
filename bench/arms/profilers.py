"""Calls of one arm under torch's profiler, in alternation with plain ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench.analysis.timeline import watched
from bench.arms.candidates import Candidate
from bench.arms.footprints import kept
from bench.arms.ranges import component_ranges
from bench.measure.allocations import live_bytes, watch_allocations
from bench.measure.clocks import Clock, clock_for
from bench.measure.load import watch_for
from bench.measure.pairs import Call, timed, without_collector
from bench.profiled import Watched

Tell = Callable[[str], object]


@dataclass(kw_only=True)
class Seen:
    """What was seen of an arm: wall seconds of each call, and the profilers of those they watched.

    ``disturbed`` counts the pairs that foreign load disturbed, ``causes`` how many by which cause.
    ``snapshot`` is of CUDA's allocator; None elsewhere.
    """

    plain_s: list[float] = field(default_factory=list)
    profiled_s: list[float] = field(default_factory=list)
    profilers: list[profile] = field(default_factory=list)
    disturbed: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    snapshot: Any = None

    def calm(self) -> list[profile]:
        """The profilers of the faster half of their calls, the fastest first."""
        order = sorted(range(len(self.profiled_s)), key=self.profiled_s.__getitem__)
        return [self.profilers[place] for place in order[: (len(order) + 1) // 2]]


def watch_calls(arm: Candidate, calls: int, tell: Tell) -> Seen:
    """Alternate so many plain and profiled calls of an arm, which is warm."""
    seen, clock, watch = Seen(), clock_for(arm.device), watch_for(arm.device)
    with arm.surroundings(), without_collector():
        # The profiler's own start is slow, and not part of any call.
        _profiled_call(arm, clock)
        watch.begin()
        for index in range(calls):
            tell(f"call {index + 1} of {calls}")
            _pair(arm, clock, seen, profiled_first=bool(index % 2))
            watch.pair()
        seen.snapshot = _snapshot(arm) if arm.device == "cuda" else None
    seen.disturbed, seen.causes = len(watch.disturbed), watch.causes
    return seen


def _pair(arm: Candidate, clock: Clock, seen: Seen, *, profiled_first: bool) -> None:
    """One call of each sort; which goes first alternates, as the machine's speed drifts."""
    if not profiled_first:
        seen.plain_s.append(_wall_s(arm.once, clock))
    seconds, profiler = _profiled_call(arm, clock)
    seen.profiled_s.append(seconds)
    seen.profilers.append(profiler)
    if profiled_first:
        seen.plain_s.append(_wall_s(arm.once, clock))


def _profiled_call(arm: Candidate, clock: Clock) -> tuple[float, profile]:
    """Wall seconds of a call under the profiler, without the profiler's start and end."""
    activities = [ProfilerActivity.CPU]
    if arm.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with component_ranges(arm), profile(activities=activities) as profiler:
        seconds = _wall_s(arm.once, clock)
    return seconds, profiler


def _wall_s(call: Call, clock: Clock) -> float:
    """Wall seconds of a call: what a profiler costs is the host's time first."""
    seconds = timed(call, clock)
    return seconds if clock.last_wall_s is None else clock.last_wall_s


def _snapshot(arm: Candidate) -> Any:
    """Every allocation of one more call, as pytorch.org/memory_viz reads it."""
    torch.cuda.memory._record_memory_history(stacks="python")  # noqa: SLF001 (documented so)
    try:
        arm.once()
        torch.cuda.synchronize()
        return torch.cuda.memory._snapshot()  # noqa: SLF001
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)  # noqa: SLF001


def watch_memory(arm: Candidate) -> Watched:
    """Live tensor bytes over one call of an arm that was called before, component by component."""
    with arm.surroundings():
        before_bytes = live_bytes(kept(arm))
        if arm.device == "cuda":
            before_bytes = torch.cuda.memory_allocated()
        else:
            arm.forget_gradients()
        with component_ranges(arm):
            changes, ranges = watch_allocations(arm.once, arm.device)
    return watched(changes, ranges, before_bytes)
