"""bench.report.page.forest: marks at their values, with the same values as text."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.comparison import DELTA
from bench.records.row import Record
from bench.report.page.forest import Axis, Forest, Line, memories, speedups
from bench.report.plots.canvas import RATIOS, ticks
from helpers.records import NOT_MEASURED, make_record

MEBI = 2**20
SIZES: dict[str, Any] = {
    "allocated_bytes": 100 * MEBI,
    "predicted_bytes": 98 * MEBI,
    "prediction_error": -0.02,
    "process_bytes": 700 * MEBI,
}


def arm(name: str, speedup: float = 1.0, **changes: Any) -> Record:
    """Return a row of attention with an interval of two percent either way."""
    low, high = speedup / 1.02, speedup * 1.02
    told = {"speedup": speedup, "speedup_low": low, "speedup_high": high, **changes}
    return make_record(arm=name, **told)


def lines(forest: Forest) -> dict[str, Line]:
    """Return the lines of a plot by arm."""
    return {line.arm: line for group in forest.groups.values() for line in group}


RUN = [
    arm("mha", verdict="undecided"),
    arm("sdpa", 1.5, verdict="faster"),
    arm("manual", 0.5, verdict="slower"),
    make_record(**NOT_MEASURED, arm="mha_weights", status="crashed"),
]


@given(low=st.floats(1e-3, 1e3), wide=st.floats(1.01, 1e6), share=st.floats(0, 1))
def test_places_are_logarithmic(low: float, wide: float, share: float) -> None:
    """Equal ratios have equal distances; values beyond an end are placed at it."""
    axis = Axis(low=low, high=low * wide)
    assert axis.place(low * wide**share) == pytest.approx(100 * share, abs=0.01)
    assert (axis.place(low / 2), axis.place(low * wide * 2)) == (0.0, 100.0)


def test_a_line_for_every_arm_that_was_measured() -> None:
    """Every measured arm has its speed-up, interval and verdict as text."""
    (forest,) = speedups(RUN, DELTA)
    found = lines(forest)
    assert list(found) == ["mha", "sdpa", "manual"]
    assert (found["sdpa"].text, found["sdpa"].outcome) == ("×1.50 (1.47 to 1.53)", "▲ faster")
    assert found["manual"].kind == "slower"
    assert forest.summary == "1 faster, 1 slower"
    assert forest.heading == "attention on cpu, against mha"


def test_marks_are_in_numeric_order() -> None:
    """An interval encloses its value; a slower arm is left of a faster one."""
    (forest,) = speedups(RUN, DELTA)
    marks = {name: line.marks[0] for name, line in lines(forest).items()}
    for mark in marks.values():
        assert mark.low is not None
        assert mark.high is not None
        assert 0 <= mark.low < mark.at < mark.high <= 100
    assert forest.one == marks["mha"].at
    assert marks["manual"].at < forest.one < marks["sdpa"].at
    assert [mark.shape for mark in marks.values()] == ["ring", "dot", "dot"]
    assert forest.band
    assert forest.band[0] < forest.one < forest.band[0] + forest.band[1]


def test_one_pass_has_no_interval() -> None:
    """With a single pass only the mark and the ratio are shown."""
    (forest,) = speedups([arm("sdpa", 1.5, speedup_low=None, speedup_high=None)], DELTA)
    (line,) = lines(forest).values()
    assert (line.marks[0].low, line.text) == (None, "×1.50")


def test_wide_interval_is_cut_in_the_plot() -> None:
    """A wide interval is cut in the plot, not in the text."""
    wild = arm("manual", 1.0, speedup_low=1e-6, speedup_high=1e6)
    (forest,) = speedups([wild, arm("sdpa", 1.5)], DELTA)
    places = [place for place, _ in forest.ticks]
    assert len(places) >= 2
    assert lines(forest)["manual"].text == "×1.00 (unknown)"


@given(st.floats(1e-2, 1e2), st.floats(1.05, 1e4))
def test_labels_have_room(low: float, wide: float) -> None:
    """Neighbouring labels are a fifth of the axis apart, which leaves room on a phone."""
    found = ticks(RATIOS, low, low * wide, 0.2)
    places = [Axis(low=low, high=low * wide).place(each) for each in found]
    assert all(b - a > 19.9 for a, b in pairwise(places))
    assert places == sorted(places)


def test_plots_by_device_and_factor() -> None:
    """Each device and factor has one plot; workloads keep their order."""
    mixed = [
        arm("a"),
        arm("x", factor="patcher"),
        arm("b", device="cuda"),
        arm("c", variant="L/16"),
    ]
    found = list(speedups([*mixed, arm("d")], DELTA))
    names = [(each.heading.partition(",")[0], list(lines(each))) for each in found]
    assert names == [
        ("attention on cpu", ["a", "d", "c"]),
        ("patcher on cpu", ["x"]),
        ("attention on cuda", ["b"]),
    ]


def test_large_plots_are_collapsed() -> None:
    """A plot of more than a hundred lines is collapsed."""
    small, large = (
        next(speedups([arm(f"arm {n}") for n in range(count)], DELTA)) for count in (100, 101)
    )
    assert (small.is_open, large.is_open) == (True, False)


def test_memory_in_words_and_marks() -> None:
    """Measured, predicted and process memory each have a mark and a size with its unit."""
    (forest,) = memories([arm("sdpa", **SIZES)])
    (line,) = lines(forest).values()
    assert line.text == "100 MiB (predicted -2.0 %); process 700 MiB"
    places = {mark.shape: mark.at for mark in line.marks}
    assert places["ring"] < places["dot"] < places["tick"]
    assert [label for _, label in forest.ticks] == ["128 MiB", "256 MiB", "512 MiB"]


@pytest.mark.parametrize("size", [4 * 2**10, 3 * MEBI, 700 * 2**30])
def test_equal_sizes_have_ticks(size: int) -> None:
    """Equal sizes have at least two ticks, at whole numbers."""
    (forest,) = memories([arm("sdpa", allocated_bytes=size)])
    assert len(forest.ticks) >= 2
    assert all(math.log2(float(label.split()[0])).is_integer() for _, label in forest.ticks)


def test_out_of_memory_shows_the_prediction() -> None:
    """An arm out of memory shows its predicted size and its status."""
    lost = make_record(**NOT_MEASURED, status="oom", predicted_bytes=90 * 2**30)
    (forest,) = memories([lost])
    (line,) = lines(forest).values()
    assert (line.text, line.outcome) == ("90.0 GiB predicted", "oom")


def test_nothing_to_show() -> None:
    """Without values there is no plot."""
    lost = make_record(**NOT_MEASURED, status="crashed")
    assert list(speedups([lost], DELTA)) == list(memories([lost])) == []


def test_undecided_lines_come_last() -> None:
    """Undecided candidates are the last lines of their workload; the workloads keep their order."""
    rows = [
        arm("mha", verdict="undecided"),
        arm("manual", verdict="undecided"),
        arm("sdpa", verdict="faster"),
        arm("sdpa", verdict="undecided", mode="train"),
    ]
    (plot,) = speedups(rows, DELTA)
    assert [[line.arm for line in lines] for lines in plot.groups.values()] == [
        *(["mha", "sdpa", "manual"], ["sdpa"])
    ]
