"""memory_timeline: the peak of live memory against an event-by-event count."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.memory_timeline import Block, curve, peak

MEMORY_KINDS = ("parameters", "activations", "temporaries")


@st.composite
def lives(draw: st.DrawFn) -> list[Block]:
    """Blocks with distinct events of birth and death, as a memory tracer numbers them."""
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
    """Blocks alive right after an event."""
    return [b for b in blocks if b.born <= event and (b.died is None or event < b.died)]


@given(lives())
def test_the_peak_is_the_most_at_any_event(blocks: list[Block]) -> None:
    """The peak is the maximum of live bytes over all events."""
    totals = [sum(b.size_bytes for b in living(blocks, e)) for e in range(2 * len(blocks))]
    assert peak(blocks).total_bytes == max(totals, default=0)


@given(lives())
def test_the_kinds_add_up(blocks: list[Block]) -> None:
    """The kinds at the peak add up to it, and each is one of the given kinds."""
    found = peak(blocks)
    assert sum(found.by_kind.values()) == found.total_bytes
    assert set(found.by_kind) <= {block.kind for block in blocks}


@given(lives())
def test_the_curve_counts_live_bytes(blocks: list[Block]) -> None:
    """The curve has the live bytes of every event, with each birth and death once."""
    points = list(curve(blocks))
    assert [event for event, _ in points] == sorted({event for event, _ in points})
    for event, live in points:
        assert live == sum(block.size_bytes for block in living(blocks, event))


def test_a_block_that_replaces_another_is_not_beside_it() -> None:
    """A block that dies before the next is born is not counted with it."""
    first = Block(size_bytes=10, kind="temporaries", born=0, died=1)
    second = Block(size_bytes=8, kind="activations", born=2)
    assert peak([first, second]).by_kind == {"temporaries": 10}
