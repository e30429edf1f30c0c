"""Live memory over the events of one call, by kind: numbers in, numbers out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bench.analysis.lifetimes import Block
from bench.profiled import Timeline


def timeline(
    blocks: Iterable[Block],
    kinds: Sequence[str],
    since: int = 0,
    phases: Mapping[str, int] | None = None,
) -> Timeline:
    """Live bytes of each kind that occurs, from the moment before the event ``since``.

    ``phases`` are events of the same count as those of the blocks. Raises ValueError for a block
    of none of the kinds.
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
    """An event's number in the call; 0 for what was before it."""
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
    """The highest and the lowest event of each of so many stretches: enough to draw, peak kept."""
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
