"""Which component each span of a profile belongs to, and the sums: numbers in, numbers out.

In forward an operator belongs to the innermost range around it. A node of backward belongs where
the operator that made it ran, which is the last one to carry its number: what ran before it with
the same number made no node. A node without a number accumulates the gradient that the node before
it on its thread made. What runs inside a node, such as a block that is computed again, may open
ranges of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from bench.records.call_profile import BETWEEN, PYTHON, Share, Span, Stack


def owners(spans: Sequence[Span]) -> list[str]:
    """The component of each span. Spans come in the order in which they began."""
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
    """The way down to each span, from its component."""
    components = owners(spans)
    paths: list[tuple[str, ...]] = []
    for span, component in zip(spans, components, strict=True):
        path: tuple[str, ...] = (component,)
        if span.component is None:
            # Where the component changes, what is around belongs to another.
            same = span.parent is not None and components[span.parent] == component
            above = paths[span.parent] if same and span.parent is not None else path
            path = (*above, span.name)
        paths.append(path)
    return paths


def stacks(calls: Sequence[Sequence[Span]]) -> list[Stack]:
    """Every way down with time of its own, each once, in the mean over calls; the longest first."""
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
    """What each component takes, the longest first."""
    return _shares(found, lambda stack: stack.path[0])


def by_operator(found: Iterable[Stack]) -> tuple[Share, ...]:
    """What each operator takes by itself, wherever it ran, the longest first."""
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
    """Lines for a flame graph: names with semicolons between, and microseconds.

    Whole numbers, which add up to the total rounded; what is lost of one is given to the next.
    """
    lines, total_us, told_us = [], 0.0, 0
    for stack in found:
        total_us += stack.seconds * 1e6
        own_us = round(total_us) - told_us
        told_us += own_us
        if own_us:
            names = (name.replace(";", ",") for name in stack.path)
            lines.append(f"{';'.join(names)} {own_us}")
    return lines
