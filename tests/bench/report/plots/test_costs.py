"""bench.report.plots.costs: the roofline, and the properties that all cost figures share."""

from collections.abc import Iterator
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from bench.records.arm_costs import computed_in
from bench.records.row import Record
from bench.report.plots import canvas
from bench.report.plots.costs import cost_figures, memory_figure, roofline_figure
from helpers.arm_costs import COMPONENTS, LOST, compiles, make_costly, precisions
from helpers.figures import SOURCE, Draw, boxes, drawn, legend_texts, points, troubles
from helpers.records import make_record

RUN = [*precisions(), LOST]
# A GPU's long name, and nearly equal roofs.
CARD = "NVIDIA H200 141GB HBM3e (MIG 7g.141gb, driver 570.133)"
LIMITS = {"fp32": 51e3, "bf16": 748e3, "fp16": 752e3}
ON_CARD = [
    replace(
        record,
        device="cuda",
        device_name=CARD,
        limit_gflop_per_s=LIMITS[computed_in(record.precision)],
        copy_gb_per_s=4020.0,
        reserved_bytes=2 * (record.allocated_bytes or 0),
    )
    for record in precisions()
]
DRAWS: list[Draw] = [memory_figure, roofline_figure]


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which they are written."""
    with mpl.rc_context(canvas.STYLE):
        yield


def reached(record: Record) -> tuple[float, float]:
    """Return the position of a row in the roofline."""
    return (record.flop or 0) / (record.moved_bytes or 1), record.gflop_per_s or 0


@pytest.mark.parametrize("draw", DRAWS)
def test_nothing_to_show(draw: Draw) -> None:
    """Without values there is no figure."""
    assert draw([], SOURCE) is None
    assert draw([make_record()] * 2, SOURCE) is None


@pytest.mark.parametrize("lacking", ["gflop_per_s", "flop", "moved_bytes", "copy_gb_per_s"])
def test_no_roofline_of_half_the_numbers(lacking: str) -> None:
    """A roofline needs work, bytes, time and bandwidth."""
    row = make_costly(**{lacking: None})
    assert roofline_figure([row], SOURCE) is None
    assert memory_figure([row], SOURCE) is not None


@pytest.mark.parametrize(
    ("draw", "x_label", "y_label"),
    [
        (memory_figure, "memory (logarithmic)", ""),
        (
            roofline_figure,
            "operations per byte that must be moved, FLOP/byte",
            "achieved, GFLOP/s",
        ),
    ],
)
def test_axis_labels(draw: Draw, x_label: str, y_label: str) -> None:
    """Every axis has a quantity and a unit."""
    (axis,) = drawn(draw, RUN).axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == (x_label, y_label)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("rows", [RUN, RUN[:1], ON_CARD[:9]], ids=len)
def test_layout(draw: Draw, rows: list[Record]) -> None:
    """No text is cut or overlaps another, with many rows and a long device name."""
    figure = drawn(draw, rows)
    assert troubles(figure) == []
    (axis,) = figure.axes
    assert len(boxes(axis.xaxis)) > 1
    assert {rows[0].device_name, SOURCE} <= {
        text.get_text().rpartition(", on ")[2] for text in figure.texts
    }


@pytest.mark.parametrize("rows", [RUN, ON_CARD])
def test_every_row_is_on_the_roofline(rows: list[Record]) -> None:
    """Each row with all values has a point inside the axes, in its component's colour."""
    figure = drawn(roofline_figure, rows)
    (axis,) = figure.axes
    marks = [line for line in axis.lines if line.get_marker() not in ("None", None)]
    expected = [reached(record) for record in rows if record.limit_share]
    found = [point for mark in marks for point in points(mark)]
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(expected)))
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    assert all(left < x < right and low < y < high for x, y in expected)
    assert len({mark.get_color() for mark in marks}) == len(COMPONENTS)
    assert len({mark.get_marker() for mark in marks}) == len(LIMITS)


def test_roofline_legends() -> None:
    """Colours are components and shapes are precisions, each with a heading in the legend."""
    figure = drawn(roofline_figure, RUN)
    names = [text.get_text() for text in legend_texts(figure)]
    assert set(names) == {"component", *COMPONENTS, "computed in", *LIMITS}
    (axis,) = figure.axes
    swatches = {
        text.get_text(): to_hex(patch.get_facecolor())
        for legend in axis.findobj(mpl.legend.Legend)
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=False)
    }
    marks = [line for line in axis.lines if line.get_marker() not in ("None", None)]
    drawn_at = {point: to_hex(mark.get_color()) for mark in marks for point in points(mark)}
    for record in RUN:
        if record.limit_share:
            (colour,) = [c for at, c in drawn_at.items() if at == pytest.approx(reached(record))]
            assert swatches[record.component] == colour


def test_roofs() -> None:
    """The slope is the bandwidth; a precision's roof is its highest limit beyond the ridge."""
    (axis,) = drawn(roofline_figure, RUN).axes
    slope, *levels = (line for line in axis.lines if line.get_marker() == "None")
    assert [y / x for x, y in points(slope)] == pytest.approx([33.6, 33.6])
    for level in levels:
        (start, low), (end, high) = points(level)
        assert low == high == pytest.approx(33.6 * start)
        assert end == axis.get_xlim()[1]
    assert sorted(points(level)[0][1] for level in levels) == pytest.approx([39.6, 197.0, 377.0])
    assert points(slope)[-1][1] == pytest.approx(377.0)
    texts = {text.get_text() for text in axis.texts}
    assert texts == {
        *("copying, 33.6 GB/s", "fp32, 197 GFLOP/s", "bf16, 377 GFLOP/s", "fp16, 39.6 GFLOP/s"),
    }


def test_roofs_near_each_other_share_a_label() -> None:
    """Labels of nearly equal roofs are joined, the lower roof first."""
    (axis,) = drawn(roofline_figure, ON_CARD).axes
    texts = [text.get_text().replace("\N{THIN SPACE}", "") for text in axis.texts]
    assert "bf16, 748000 GFLOP/s; fp16, 752000 GFLOP/s" in texts
    assert "fp32, 51000 GFLOP/s" in texts


@settings(deadline=None, max_examples=12)
@given(
    share=st.floats(1e-3, 3),
    intensity=st.floats(0.05, 2e4),
    limits=st.lists(st.floats(1, 1e6), min_size=1, max_size=3),
)
def test_any_roofline_can_be_read(share: float, intensity: float, limits: list[float]) -> None:
    """For any values, points and ridge are inside the axes and nothing overlaps."""
    rows = [
        make_costly(
            precision=precision,
            limit_share=share,
            gflop_per_s=share * limit,
            flop=intensity * 1e6,
            moved_bytes=1e6,
            limit_gflop_per_s=limit,
        )
        for precision, limit in zip(LIMITS, limits, strict=False)
    ]
    with mpl.rc_context(canvas.STYLE):
        figure = drawn(roofline_figure, rows)
        assert troubles(figure) == []
    (axis,) = figure.axes
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    ridge = max(limits) / 33.6, max(limits)
    for x, y in [ridge, *map(reached, rows)]:
        assert left < x < right
        assert low < y < high


def test_figures_of_each_device() -> None:
    """Each device has its own figures; empty figures are left out."""
    rows = [*RUN, *ON_CARD, *compiles()]
    found = {
        str(name): figure for name, make in cost_figures(rows, SOURCE).items() if (figure := make())
    }
    assert list(found) == [
        *("memory-cpu", "roofline-cpu", "compile-cpu", "memory-cuda", "roofline-cuda"),
    ]
    assert [make() for make in cost_figures([make_record()], SOURCE).values()] == [None] * 3
    assert len(found["memory-cuda"].axes[0].get_yticklabels()) == len(ON_CARD)
