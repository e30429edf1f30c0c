"""bench.analysis.memory_timeline: memory over a call against an event-by-event count."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.memory_timeline import Block, memory_trace, peak, thinned, timeline
from bench.records.call_profile import BETWEEN, Timeline

MEMORY_KINDS = ("parameters", "activations", "temporaries")


@st.composite
def blocks(draw: st.DrawFn) -> list[Block]:
    """Blocks with distinct events of birth and death, as a memory tracer numbers them."""
    count = draw(st.integers(0, 10))
    events = draw(st.permutations(range(2 * count)))
    found = []
    for place in range(count):
        born, died = sorted(events[2 * place : 2 * place + 2])
        kind, size = draw(st.sampled_from(MEMORY_KINDS)), draw(st.integers(0, 1000))
        ends = draw(st.booleans())
        found.append(Block(size_bytes=size, kind=kind, born=born, died=died if ends else None))
    return found


@given(blocks(), st.integers(0, 20))
def test_each_kind_counts_its_live_bytes(given_blocks: list[Block], since: int) -> None:
    """Each kind has its live bytes at every event of the call, and just before the first."""
    kept = [b for b in given_blocks if b.died is None or b.died >= since]
    found = timeline(kept, MEMORY_KINDS, since)
    for place, event in enumerate(found.events):
        now = event + since - 1
        for kind, values in found.live_bytes.items():
            living = [
                b.size_bytes
                for b in kept
                if b.kind == kind and b.born <= now and (b.died is None or now < b.died)
            ]
            assert values[place] == sum(living)


@given(blocks())
def test_the_highest_point_is_the_peak(given_blocks: list[Block]) -> None:
    """The highest point of the timeline, thinned or not, is the predicted peak."""
    found = timeline(given_blocks, MEMORY_KINDS)
    highest = peak(given_blocks).total_bytes
    assert max(found.total_bytes) == highest
    assert max(thinned(found, 2).total_bytes) == highest


@given(blocks(), st.integers(1, 30))
def test_thinning_keeps_points_and_their_order(given_blocks: list[Block], stretches: int) -> None:
    """Thinning keeps at most two existing points of each stretch, and both ends."""
    found = timeline(given_blocks, MEMORY_KINDS)
    few = thinned(found, stretches)
    assert len(few.events) <= 2 * stretches + 2
    assert (few.events[0], few.events[-1]) == (found.events[0], found.events[-1])
    assert all(one < other for one, other in pairwise(few.events))
    points = set(zip(found.events, found.total_bytes, strict=True))
    assert set(zip(few.events, few.total_bytes, strict=True)) <= points
    assert min(few.total_bytes) == min(found.total_bytes)


def test_kinds_come_in_their_order_and_only_where_they_occur() -> None:
    """Kinds come in the legend's order, and absent kinds are left out."""
    given_blocks = [
        Block(size_bytes=1, kind="temporaries", born=0),
        Block(size_bytes=2, kind="parameters", born=1),
    ]
    found = timeline(given_blocks, MEMORY_KINDS)
    assert list(found.live_bytes) == ["parameters", "temporaries"]
    assert found.total_bytes == (0, 1, 3)


def test_a_call_begins_with_existing_blocks() -> None:
    """Blocks born before the call are at event 0, from which phases are counted too."""
    given_blocks = [
        Block(size_bytes=5, kind="parameters", born=2),
        Block(size_bytes=7, kind="temporaries", born=10, died=12),
    ]
    found = timeline(given_blocks, MEMORY_KINDS, since=10, phases={"forward": 10, "backward": 11})
    assert (found.events, found.total_bytes) == ((0, 1, 3), (5, 12, 5))
    assert found.phases == {"forward": 1, "backward": 2}
    assert thinned(found, 1).phases == found.phases


def test_an_unknown_kind_is_refused() -> None:
    """A kind outside the legend is refused, since every sum would lack it."""
    with pytest.raises(ValueError, match="unknown kind 'weights'; known: parameters, "):
        timeline([Block(size_bytes=1, kind="weights", born=0)], MEMORY_KINDS)


def test_a_timeline_has_a_value_for_each_event() -> None:
    """A kind whose values do not match the number of events is refused."""
    with pytest.raises(
        ValueError, match="1 values of 'inputs' for 2 events; expected one for each"
    ):
        Timeline(events=(0, 1), live_bytes={"inputs": (3,)})


def test_changes_belong_to_the_innermost_component() -> None:
    """A change counts for the component at its time; a component keeps the sum of its changes."""
    ranges = [(0, 100, BETWEEN), (10, 50, "attention"), (20, 30, "norm"), (60, 70, "attention")]
    changes = [(5, 7), (12, 100), (25, 50), (28, -50), (40, -20), (65, 3), (80, -7), (120, 1)]
    found = memory_trace(changes, ranges, 1000)
    assert found.live_bytes == (1000, 1007, 1107, 1157, 1107, 1087, 1090, 1083, 1084)
    assert found.seconds[:3] == pytest.approx((0.0, 0.0, 7e-9))
    held = {each.name: (each.most_bytes, each.kept_bytes) for each in found.components}
    assert held == {"norm": (1157, 0), "attention": (1107, 83), BETWEEN: (1084, 1)}
    assert [each.name for each in found.components] == ["norm", "attention", BETWEEN]


@given(
    changes=st.lists(st.tuples(st.integers(0, 99), st.integers(-50, 50)), max_size=20),
    cuts=st.lists(st.integers(0, 99), max_size=6, unique=True),
)
def test_nothing_is_lost_between_components(
    changes: list[tuple[int, int]], cuts: list[int]
) -> None:
    """For any ranges the shares add up to the call, and one component has the peak."""
    places = sorted(cuts)
    ranges = [(a, b - 1, f"part {a}") for a, b in pairwise(places)]
    found = memory_trace(sorted(changes), ranges, 10_000)
    assert sum(each.kept_bytes for each in found.components) == sum(size for _, size in changes)
    if changes:
        assert max(each.most_bytes for each in found.components) == max(found.live_bytes[1:])
