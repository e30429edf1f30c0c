"""Run calls of one arm under torch's profiler, in alternation with unprofiled calls."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from bench.analysis.memory_timeline import memory_trace
from bench.arms.candidate import Candidate
from bench.costs.component_ranges import component_ranges
from bench.costs.memory import live_bytes, persistent_tensors, trace_allocations
from bench.machine.load import watch_for
from bench.records.call_profile import BACKWARD_NODE, RANGE, MemoryTrace, Span
from bench.timing.clocks import Clock, clock_for
from bench.timing.rounds import Call, timed, without_collector

_UNATTRIBUTED = "(kernels of no operator)"
# Resolution of the profiler; smaller rests are rounding errors of sums.
_RESOLUTION_S = 1e-9
Notify = Callable[[str], object]


def spans_of(events: Iterable[FunctionEvent], device: str) -> list[Span]:
    """Return the spans of a profile's events, timed by kernels on ``cuda``, by threads on a CPU.

    The time of kernels that no operator launched is a span of its own, so that the sum is complete.
    """
    events = list(events)
    on_cpu = [e for e in events if e.device_type.name == "CPU" and not e.is_async]
    # As torch nests them: outer events first.
    on_cpu.sort(key=lambda event: (event.time_range.start, -event.time_range.end))
    places = {id(event): place for place, event in enumerate(on_cpu)}
    spans = [_span(event, places, device) for event in on_cpu]
    if device == "cuda":
        left_s = _kernels_s(events) - sum(span.self_s for span in spans)
        if left_s > _RESOLUTION_S:
            spans.append(Span(name=_UNATTRIBUTED, self_s=left_s))
    return spans


def _span(event: FunctionEvent, places: dict[int, int], device: str) -> Span:
    is_node = event.name.startswith(BACKWARD_NODE)
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
    """Return the seconds of the kernels that an operator itself launched.

    The device-side copy of a range, from its first kernel to its last, is not a kernel.
    """
    if event.is_user_annotation:
        return 0.0
    return float(sum(kernel.duration for kernel in event.kernels)) / 1e6


def _kernels_s(events: Sequence[FunctionEvent]) -> float:
    """Return the seconds of all kernels on the device."""
    ranges = {event.name for event in events if event.is_user_annotation}
    ran = (e for e in events if e.device_type.name == "CUDA" and e.name not in ranges)
    return float(sum(event.time_range.elapsed_us() for event in ran)) / 1e6


@dataclass(kw_only=True)
class ProfilingResult:
    """Profiling results of one arm: wall time of each call, profiler of each profiled call.

    ``disturbed`` counts the pairs disturbed by foreign load, ``causes`` the pairs of each cause.
    ``snapshot`` is that of CUDA's allocator; None on a CPU.
    """

    plain_s: list[float] = field(default_factory=list)
    profiled_s: list[float] = field(default_factory=list)
    profilers: list[profile] = field(default_factory=list)
    disturbed: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    snapshot: Any = None

    def calm(self) -> list[profile]:
        """Return the profilers of the faster half of the profiled calls, the fastest first."""
        order = sorted(range(len(self.profiled_s)), key=self.profiled_s.__getitem__)
        return [self.profilers[place] for place in order[: (len(order) + 1) // 2]]


def profile_calls(arm: Candidate, calls: int, notify: Notify) -> ProfilingResult:
    """Alternate ``calls`` unprofiled and ``calls`` profiled calls of a warm arm.

    ``notify`` receives one line of progress per pair.
    """
    result, clock, watch = ProfilingResult(), clock_for(arm.device), watch_for(arm.device)
    with arm.surroundings(), without_collector():
        # The first start of the profiler is slow and not part of any call.
        _profiled_call(arm, clock)
        watch.begin()
        for index in range(calls):
            notify(f"call {index + 1} of {calls}")
            _pair(arm, clock, result, profiled_first=bool(index % 2))
            watch.pair()
        result.snapshot = _snapshot(arm) if arm.device == "cuda" else None
    result.disturbed, result.causes = len(watch.disturbed), watch.causes
    return result


def _pair(arm: Candidate, clock: Clock, result: ProfilingResult, *, profiled_first: bool) -> None:
    """Make one call of each sort, in alternating order because the machine's speed drifts."""
    if not profiled_first:
        result.plain_s.append(_wall_s(arm.once, clock))
    seconds, profiler = _profiled_call(arm, clock)
    result.profiled_s.append(seconds)
    result.profilers.append(profiler)
    if profiled_first:
        result.plain_s.append(_wall_s(arm.once, clock))


def _profiled_call(arm: Candidate, clock: Clock) -> tuple[float, profile]:
    """Return the wall seconds of a call, without the profiler's start and end, and the profiler."""
    activities = [ProfilerActivity.CPU]
    if arm.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with component_ranges(arm), profile(activities=activities) as profiler:
        seconds = _wall_s(arm.once, clock)
    return seconds, profiler


def _wall_s(call: Call, clock: Clock) -> float:
    """Return the wall seconds of a call: a profiler's overhead is host time first."""
    seconds = timed(call, clock)
    return seconds if clock.last_wall_s is None else clock.last_wall_s


def _snapshot(arm: Candidate) -> Any:
    """Return the allocations of one more call in the format of pytorch.org/memory_viz."""
    torch.cuda.memory._record_memory_history(stacks="python")  # noqa: SLF001 (documented so)
    try:
        arm.once()
        torch.cuda.synchronize()
        return torch.cuda.memory._snapshot()  # noqa: SLF001
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)  # noqa: SLF001


def trace_memory(arm: Candidate) -> MemoryTrace:
    """Measure the live tensor bytes over one call of a warm arm, component by component."""
    with arm.surroundings():
        before_bytes = live_bytes(persistent_tensors(arm))
        if arm.device == "cuda":
            before_bytes = torch.cuda.memory_allocated()
        else:
            arm.forget_gradients()
        with component_ranges(arm):
            changes, ranges = trace_allocations(arm.once, arm.device)
    return memory_trace(changes, ranges, before_bytes)
