"""Attribute the spans of a profile to components and sum them up.

In forward an operator belongs to the innermost range around it. A node of backward belongs to the
component of the operator that created it: the last operator with the node's sequence number, since
earlier ones with that number created no node. A node without a number accumulates the gradient of
the previous node on its thread. Operators inside a node, such as a recomputed block, may open
ranges of their own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from bench.records.call_profile import BETWEEN, PYTHON, Share, Span, Stack


def owners(spans: Sequence[Span]) -> list[str]:
    """Return the component of each span, for spans in the order of their start."""
    made: dict[tuple[int | None, int], str] = {}
    newest: dict[int, str] = {}
    found: list[str] = []
    for span in spans:
        owner = span.component or (BETWEEN if span.parent is None else found[span.parent])
        if span.node:
            if span.sequence is None:
                owner = newest.get(span.thread, owner)
            else:
                owner = made.get((span.forward_thread, span.sequence), owner)
            newest[span.thread] = owner
        elif span.sequence is not None:
            made[span.thread, span.sequence] = owner
        found.append(owner)
    return found


def _paths(spans: Sequence[Span]) -> list[tuple[str, ...]]:
    """Return the call path of each span, from its component down."""
    components = owners(spans)
    paths: list[tuple[str, ...]] = []
    for span, component in zip(spans, components, strict=True):
        path: tuple[str, ...] = (component,)
        if span.component is None:
            # A surrounding span of another component is not part of the path.
            same = span.parent is not None and components[span.parent] == component
            above = paths[span.parent] if same and span.parent is not None else path
            path = (*above, span.name)
        paths.append(path)
    return paths


def stacks(calls: Sequence[Sequence[Span]]) -> list[Stack]:
    """Return every call path with time of its own, as means over calls, the longest first."""
    seconds: dict[tuple[str, ...], float] = defaultdict(float)
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for spans in calls:
        for span, path in zip(spans, _paths(spans), strict=True):
            if span.component is None:
                counts[path] += 1
                seconds[path] += span.self_s
            else:
                seconds[*path, PYTHON] += span.self_s
    found = [
        Stack(
            path=path,
            seconds=total_s / len(calls),
            calls=counts[path] / len(calls) if path in counts else None,
        )
        for path, total_s in seconds.items()
        if total_s > 0
    ]
    return sorted(found, key=lambda each: -each.seconds)


def by_component(found: Iterable[Stack]) -> tuple[Share, ...]:
    """Return the share of each component, the longest first."""
    return _shares(found, lambda stack: stack.path[0])


def by_operator(found: Iterable[Stack]) -> tuple[Share, ...]:
    """Return the own time of each operator over all components, the longest first."""
    return _shares(found, lambda stack: stack.path[-1])


def _shares(found: Iterable[Stack], name_of: Callable[[Stack], str]) -> tuple[Share, ...]:
    groups: dict[str, list[Stack]] = defaultdict(list)
    for stack in found:
        groups[name_of(stack)].append(stack)
    shares = (_share(name, group) for name, group in groups.items())
    return tuple(sorted(shares, key=lambda each: -each.seconds))


def _share(name: str, group: Sequence[Stack]) -> Share:
    within: dict[str, float] = defaultdict(float)
    for stack in group:
        within[stack.path[0]] += stack.seconds
    counts = [stack.calls for stack in group if stack.calls is not None]
    return Share(
        name=name,
        seconds=sum(within.values()),
        calls=sum(counts) if counts else None,
        within=dict(within),
    )


def collapsed(found: Iterable[Stack]) -> list[str]:
    """Return lines for a flame graph: names separated by semicolons, and whole microseconds.

    The rounding error of one line is carried to the next, so that the lines add up to the total.
    """
    lines, total_us, written_us = [], 0.0, 0
    for stack in found:
        total_us += stack.seconds * 1e6
        own_us = round(total_us) - written_us
        written_us += own_us
        if own_us:
            names = (name.replace(";", ",") for name in stack.path)
            lines.append(f"{';'.join(names)} {own_us}")
    return lines
