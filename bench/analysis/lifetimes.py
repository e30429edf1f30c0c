"""Peaks of memory from the lives of its blocks: numbers in, numbers out.

A block is one allocation. Time is counted in events, so that no two fall together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Block:
    """One allocation: how large, of which kind, from which event to which (None: to the end).

    ``component`` is the part of the model that it belongs to; empty where nobody said.
    """

    size_bytes: int
    kind: str
    born: int
    died: int | None = None
    component: str = ""


@dataclass(frozen=True)
class Peak:
    """The most bytes that lived at once, by kind of block, and by component and kind."""

    total_bytes: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    by_component: dict[str, dict[str, int]] = field(default_factory=dict)


def curve(blocks: Iterable[Block]) -> Iterator[tuple[int, int]]:
    """Live bytes after each event, in order."""
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
    """The first event at which the most bytes live."""
    blocks = list(blocks)
    when, total = max(curve(blocks), key=lambda point: point[1], default=(0, 0))
    by_kind: dict[str, int] = defaultdict(int)
    by_component: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for block in blocks:
        if block.born <= when and (block.died is None or block.died > when):
            by_kind[block.kind] += block.size_bytes
            by_component[block.component][block.kind] += block.size_bytes
    return Peak(total, dict(by_kind), {name: dict(part) for name, part in by_component.items()})
