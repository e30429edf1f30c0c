"""memory_timeline: the peak of what lives at once, against counting it event by event."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.memory_timeline import Block, curve, peak

MEMORY_KINDS = ("parameters", "activations", "temporaries")


@st.composite
def lives(draw: st.DrawFn) -> list[Block]:
    """Blocks whose births and deaths fall on events of their own, as a tracker counts them."""
    count = draw(st.integers(0, 12))
    events = draw(st.permutations(range(2 * count)))
    blocks = []
    for place in range(count):
        born, died = sorted(events[2 * place : 2 * place + 2])
        ends = draw(st.booleans())
        size, kind = draw(st.integers(0, 10**12)), draw(st.sampled_from(MEMORY_KINDS))
        blocks.append(Block(size_bytes=size, kind=kind, born=born, died=died if ends else None))
    return blocks


def living(blocks: Sequence[Block], event: int) -> list[Block]:
    """Those that live right after an event."""
    return [b for b in blocks if b.born <= event and (b.died is None or event < b.died)]


@given(lives())
def test_the_peak_is_the_most_at_any_event(blocks: list[Block]) -> None:
    """No event has more live bytes, and one has as many."""
    totals = [sum(b.size_bytes for b in living(blocks, e)) for e in range(2 * len(blocks))]
    assert peak(blocks).total_bytes == max(totals, default=0)


@given(lives())
def test_the_kinds_add_up(blocks: list[Block]) -> None:
    """What the peak divides into is the peak, and each kind is one that was given."""
    found = peak(blocks)
    assert sum(found.by_kind.values()) == found.total_bytes
    assert set(found.by_kind) <= {block.kind for block in blocks}


@given(lives())
def test_the_curve_is_what_lives(blocks: list[Block]) -> None:
    """At every event on it, and it stands at each birth and death once."""
    points = list(curve(blocks))
    assert [event for event, _ in points] == sorted({event for event, _ in points})
    for event, live in points:
        assert live == sum(block.size_bytes for block in living(blocks, event))


def test_a_block_that_replaces_another_is_not_beside_it() -> None:
    """What dies before the next is born is not counted with it."""
    first = Block(size_bytes=10, kind="temporaries", born=0, died=1)
    second = Block(size_bytes=8, kind="activations", born=2)
    assert peak([first, second]).by_kind == {"temporaries": 10}
