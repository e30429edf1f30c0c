"""Live memory over the events of one call, by kind and by component, and its peak.

Time is counted in events, so that no two allocations fall together.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.records.call_profile import BETWEEN, ComponentMemory, MemoryTrace, Timeline


@dataclass(frozen=True, kw_only=True)
class Block:
    """One allocation, alive from event ``born`` up to event ``died`` (None: to the end).

    ``component`` is the component of the model that it belongs to; empty if unknown.
    """

    size_bytes: int
    kind: str
    born: int
    died: int | None = None
    component: str = ""


@dataclass(frozen=True)
class Peak:
    """The most bytes alive at once, by kind of block, and by component and kind."""

    total_bytes: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    by_component: dict[str, dict[str, int]] = field(default_factory=dict)


def curve(blocks: Iterable[Block]) -> Iterator[tuple[int, int]]:
    """Yield each event with the live bytes after it, in order."""
    changes: dict[int, int] = defaultdict(int)
    for block in blocks:
        changes[block.born] += block.size_bytes
        if block.died is not None:
            changes[block.died] -= block.size_bytes
    live = 0
    for event in sorted(changes):
        live += changes[event]
        yield event, live


def peak(blocks: Iterable[Block]) -> Peak:
    """Return the peak: the first event with the most live bytes."""
    blocks = list(blocks)
    when, total = max(curve(blocks), key=lambda point: point[1], default=(0, 0))
    by_kind: dict[str, int] = defaultdict(int)
    by_component: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for block in blocks:
        if block.born <= when and (block.died is None or block.died > when):
            by_kind[block.kind] += block.size_bytes
            by_component[block.component][block.kind] += block.size_bytes
    return Peak(total, dict(by_kind), {name: dict(part) for name, part in by_component.items()})


def timeline(
    blocks: Iterable[Block],
    kinds: Sequence[str],
    since: int = 0,
    phases: Mapping[str, int] | None = None,
) -> Timeline:
    """Return the live bytes of each kind that occurs, from the moment before the event ``since``.

    ``phases`` are events in the numbering of the blocks. Raises ValueError for a block of an
    unknown kind.
    """
    changes: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    seen = set()
    for block in blocks:
        if block.kind not in kinds:
            raise ValueError(f"unknown kind {block.kind!r}; known: {', '.join(kinds)}")
        seen.add(block.kind)
        changes[_place(block.born, since)][block.kind] += block.size_bytes
        if block.died is not None:
            changes[_place(block.died, since)][block.kind] -= block.size_bytes
    events = sorted({0, *changes})
    return Timeline(
        events=tuple(events),
        live_bytes={kind: _running(kind, events, changes) for kind in kinds if kind in seen},
        phases={name: _place(event, since) for name, event in (phases or {}).items()},
    )


def _place(event: int, since: int) -> int:
    """Return an event's number within the call; 0 for events before it."""
    return max(event - since + 1, 0)


def _running(
    kind: str, events: Sequence[int], changes: Mapping[int, Mapping[str, int]]
) -> tuple[int, ...]:
    live, values = 0, []
    for event in events:
        live += changes[event].get(kind, 0) if event in changes else 0
        values.append(live)
    return tuple(values)


def thinned(given: Timeline, stretches: int) -> Timeline:
    """Keep the highest and the lowest event of each stretch: fewer points, the same peak."""
    totals, count = given.total_bytes, len(given.events)
    kept: set[int] = {0, count - 1}
    for index in range(stretches):
        stretch = range(index * count // stretches, (index + 1) * count // stretches)
        if stretch:
            kept |= {max(stretch, key=totals.__getitem__), min(stretch, key=totals.__getitem__)}
    places = sorted(kept)
    return Timeline(
        events=tuple(given.events[place] for place in places),
        live_bytes={
            kind: tuple(values[place] for place in places)
            for kind, values in given.live_bytes.items()
        },
        phases=given.phases,
    )


def memory_trace(
    changes: Sequence[tuple[int, int]],
    ranges: Sequence[tuple[int, int, str]],
    before_bytes: int,
) -> MemoryTrace:
    """Return the live bytes after each change of a call, and their peak in each component.

    ``changes`` are nanoseconds and signed bytes, ``ranges`` begin, end and name of a component,
    both in order; ranges are nested or disjoint. A change belongs to the innermost range around it,
    outside all ranges to BETWEEN.
    """
    live, open_ = before_bytes, [(0, math.inf, BETWEEN)]
    rest = list(reversed(ranges))
    most: dict[str, int] = {}
    kept: dict[str, int] = defaultdict(int)
    totals = []
    for at_ns, change in changes:
        while rest and rest[-1][0] <= at_ns:
            open_.append(rest.pop())
        while open_[-1][1] < at_ns:
            open_.pop()
        name = open_[-1][2]
        live += change
        most[name], kept[name] = max(most.get(name, 0), live), kept[name] + change
        totals.append(live)
    first_ns = changes[0][0] if changes else 0
    components = [
        ComponentMemory(name=each, most_bytes=most[each], kept_bytes=kept[each]) for each in most
    ]
    return MemoryTrace(
        seconds=(0.0, *((at_ns - first_ns) / 1e9 for at_ns, _ in changes)),
        live_bytes=(before_bytes, *totals),
        components=tuple(sorted(components, key=lambda each: -each.most_bytes)),
    )
