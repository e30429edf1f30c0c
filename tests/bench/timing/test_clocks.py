"""bench.timing.clocks: marks between the parts of a call, on both kinds of clock."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.timing.clocks import EventMarks, Marks, WallMarks, marks_for
from helpers.clocks import FakeClock, FakeEvent

SPANS = st.lists(st.floats(0, 1e3), max_size=8)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Return the clock of both kinds of marks."""
    clock = FakeClock()
    monkeypatch.setattr(FakeEvent, "clock", clock)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", FakeEvent.drain)
    monkeypatch.setattr("bench.timing.clocks.time", clock.as_time())
    return clock


def marked(marks: Marks, clock: FakeClock, spans_s: list[float]) -> None:
    """Mark a call whose parts take given seconds."""
    marks.begin()
    for span_s in spans_s:
        clock.now_s += span_s
        marks.mark()


BOTH = pytest.mark.parametrize("make", [WallMarks, EventMarks])


@BOTH
def test_spans_lie_between_neighbouring_marks(make: type[WallMarks], clock: FakeClock) -> None:
    """Each span is that of one part; together they make the call."""
    marks = make()
    marked(marks, clock, [1.0, 0.5, 4.0])
    assert marks.spans_s() == [1.0, 0.5, 4.0]


@BOTH
def test_marks_of_an_unfinished_call_are_forgotten(make: type[WallMarks], clock: FakeClock) -> None:
    """The marks before an exception have no place in the next call."""
    marks = make()
    marked(marks, clock, [1.0, 2.0])
    marked(marks, clock, [8.0])
    assert marks.spans_s() == [8.0]


@BOTH
def test_a_call_without_parts_has_no_spans(make: type[WallMarks], clock: FakeClock) -> None:
    """A start alone has no time."""
    marks = make()
    marked(marks, clock, [])
    assert marks.spans_s() == []


@given(first=SPANS, second=SPANS)
def test_spans_are_those_of_the_latest_call(first: list[float], second: list[float]) -> None:
    """Marks serve call after call; what was before does not matter."""
    with pytest.MonkeyPatch.context() as patch:
        clock = FakeClock()
        patch.setattr("bench.timing.clocks.time", clock.as_time())
        marks = WallMarks()
        for spans_s in (first, second):
            marked(marks, clock, spans_s)
            assert marks.spans_s() == pytest.approx(spans_s, abs=1e-9)


def test_a_mark_in_a_stream_does_not_wait(clock: FakeClock) -> None:
    """Only reading the times drains the queue, so that launches of the parts overlap."""
    marks = EventMarks()
    marked(marks, clock, [1.0])
    assert not FakeEvent.is_drained
    assert marks.spans_s() == [1.0]
    assert FakeEvent.is_drained


def test_marks_of_the_wall_clock_are_real() -> None:
    """On a CPU a part that sleeps takes at least its sleep."""
    marks = marks_for("cpu")
    marks.begin()
    time.sleep(0.02)
    marks.mark()
    marks.mark()
    slept_s, nothing_s = marks.spans_s()
    assert slept_s >= 0.02
    assert nothing_s >= 0


def test_the_marks_of_a_device() -> None:
    """CUDA has events; a CPU returns when its work is done."""
    assert isinstance(marks_for("cuda"), EventMarks)
    assert isinstance(marks_for("cpu"), WallMarks)
