"""What torch's profiler saw of one call, as spans in the order in which they began."""

from collections.abc import Iterable, Sequence

from torch.autograd.profiler_util import FunctionEvent

from bench.profiled import RANGE, Span

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
