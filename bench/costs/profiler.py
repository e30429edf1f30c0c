"""Calls of one arm under torch's profiler, in alternation with plain ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from bench.analysis.memory_timeline import watched
from bench.arms.candidate import Candidate
from bench.costs.component_ranges import component_ranges
from bench.costs.memory import kept, live_bytes, watch_allocations
from bench.machine.load import watch_for
from bench.records.call_profile import RANGE, Span, Watched
from bench.timing.clocks import Clock, clock_for
from bench.timing.pairs import Call, timed, without_collector

_NODE = "autograd::engine::evaluate_function"
_NOBODY = "(kernels of no operator)"
# The profiler's own; less is what sums of many times lose.
_RESOLUTION_S = 1e-9


def spans_of(events: Iterable[FunctionEvent], device: str) -> list[Span]:
    """The spans of a profile's events; times are those of kernels on ``cuda``, of threads on a CPU.

    What kernels took that no operator launched is a span of its own, so that nothing is left out.
    """
    events = list(events)
    on_cpu = [e for e in events if e.device_type.name == "CPU" and not e.is_async]
    # The order in which torch nests them, so that what is around comes first.
    on_cpu.sort(key=lambda event: (event.time_range.start, -event.time_range.end))
    places = {id(event): place for place, event in enumerate(on_cpu)}
    spans = [_span(event, places, device) for event in on_cpu]
    if device == "cuda":
        left_s = _kernels_s(events) - sum(span.self_s for span in spans)
        if left_s > _RESOLUTION_S:
            spans.append(Span(name=_NOBODY, self_s=left_s))
    return spans


def _span(event: FunctionEvent, places: dict[int, int], device: str) -> Span:
    is_node = event.name.startswith(_NODE)
    named = event.is_user_annotation and event.name.startswith(RANGE)
    return Span(
        name=event.name,
        self_s=_kernel_s(event) if device == "cuda" else max(event.self_cpu_time_total, 0) / 1e6,
        parent=None if event.cpu_parent is None else places[id(event.cpu_parent)],
        component=event.name.removeprefix(RANGE) if named else None,
        thread=event.thread,
        sequence=event.sequence_nr if event.sequence_nr >= 0 else None,
        node=is_node,
        forward_thread=event.fwd_thread if is_node else None,
    )


def _kernel_s(event: FunctionEvent) -> float:
    """Seconds of the kernels that an operator itself launched.

    A range has its likeness on the device, from its first kernel to its last; that is no kernel.
    """
    if event.is_user_annotation:
        return 0.0
    return float(sum(kernel.duration for kernel in event.kernels)) / 1e6


def _kernels_s(events: Sequence[FunctionEvent]) -> float:
    """Seconds of all that ran on the device."""
    ranges = {event.name for event in events if event.is_user_annotation}
    ran = (e for e in events if e.device_type.name == "CUDA" and e.name not in ranges)
    return float(sum(event.time_range.elapsed_us() for event in ran)) / 1e6


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
