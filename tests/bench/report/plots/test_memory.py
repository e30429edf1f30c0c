"""bench.report.plots.costs: memory of every case, measured and predicted."""

from collections.abc import Iterator
from itertools import product

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from bench.report.plots import canvas
from bench.report.plots.costs import memory_figure
from helpers.arm_costs import LOST, make_costly, precisions
from helpers.figures import boxes, drawn, legend_texts, lie_apart, points

RUN = [*precisions(), LOST]
SIZES = st.integers(2**12, 2**40)


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which they are written."""
    with mpl.rc_context(canvas.STYLE):
        yield


def lines_of(axis: Axes, label: str) -> list[tuple[float, float]]:
    """Return the points of the marks of one name."""
    found = [line for line in axis.lines if line.get_label() == label]
    return [point for line in found for point in points(line)]


def test_memory_of_every_case() -> None:
    """Each case has a row with workload, arm, and measured and predicted memory."""
    (axis,) = drawn(memory_figure, RUN).axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names[:2] == ["B/16 patcher b1 forward   fp32", "B/16 patcher b1 forward   amp_bf16"]
    assert names[-1] == "B/16 model b1 train   bf16 (oom)"
    for label, sizes in {
        "live tensors": [record.allocated_bytes for record in RUN],
        "predicted": [record.predicted_bytes for record in RUN],
        "the process": [record.process_bytes for record in RUN],
    }.items():
        expected = [(size, place) for place, size in enumerate(sizes) if size]
        assert lines_of(axis, label) == expected
        assert len(expected) >= len(RUN) - 1
    left, right = axis.get_xlim()
    assert all(left < x < right for line in axis.lines[:3] for x, _ in points(line))


def test_memory_legend() -> None:
    """The legend has the marks that occur, and no others."""
    assert [text.get_text() for text in legend_texts(drawn(memory_figure, RUN))] == [
        *("live tensors", "predicted", "the process"),
    ]
    predicted = make_costly(allocated_bytes=None, process_bytes=None)
    assert [text.get_text() for text in legend_texts(drawn(memory_figure, [predicted]))] == [
        "predicted"
    ]


def test_a_case_of_several_factors_is_shown_once() -> None:
    """The default arm, baseline of every factor, has one row; another baseline has its own."""
    arms = {
        "attention": ("mha", "sdpa"),
        "kernel": ("auto", "flash"),
        "compile": ("eager", "compile"),
        "precision": ("fp32", "bf16"),
        "factory": ("a.py:f", "a.py:g"),
    }
    rows = [
        make_costly(
            factor=factor, arm=arm, baseline=pair[0], component="attention", precision="fp32"
        )
        for factor, pair in arms.items()
        for arm in pair
    ]
    (axis,) = drawn(memory_figure, [*rows, *rows]).axes
    names = [label.get_text().split()[-1] for label in axis.get_yticklabels()]
    assert names == ["mha", "sdpa", "flash", "compile", "bf16", "a.py:f", "a.py:g"]


@settings(deadline=None, max_examples=12)
@given(sizes=st.tuples(SIZES, SIZES, SIZES))
def test_sizes_of_any_range_can_be_read(sizes: tuple[int, int, int]) -> None:
    """From a few KiB to a TiB, labels do not overlap and marks are inside."""
    names = ("allocated_bytes", "predicted_bytes", "process_bytes")
    row = make_costly(**dict(zip(names, sizes, strict=True)))
    with mpl.rc_context(canvas.STYLE):
        (axis,) = drawn(memory_figure, [row]).axes
        assert len(boxes(axis.xaxis)) > 1
        assert lie_apart(boxes(axis.xaxis))
    left, right = axis.get_xlim()
    assert left < min(sizes) <= max(sizes) < right


def test_workloads_are_divided_by_a_line() -> None:
    """A line separates the rows of neighbouring workloads."""
    rows = [make_costly(arm=arm, mode=mode) for mode, arm in product("ab", ("bf16", "tf32"))]
    (axis,) = drawn(memory_figure, rows).axes
    (line,) = axis.lines[3:]
    assert points(line)[0][1] == 1.5
