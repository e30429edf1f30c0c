"""bench.report.plots.break_even: compiled and eager lines cross at the break-even point."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.records.row import Record
from bench.report.plots import canvas
from bench.report.plots.break_even import compile_figure
from helpers.arm_costs import VARIANTS, compiles, make_compiled
from helpers.figures import SOURCE, boxes, drawn, legend_texts, lie_apart, troubles
from helpers.records import make_record

ARMS = (("compile", 1.3, 40.0), ("compile_blocks", 1.2, 5.0), ("reduce_overhead", 1.9, 45.0))
MANY = [
    make_compiled(speedup, cold_s, variant=variant, mode=mode, batch_size=batch_size, arm=arm)
    for variant, mode, batch_size in product(VARIANTS, ("forward", "train"), (1, 64))
    for arm, speedup, cold_s in (*ARMS, ("max_autotune", 0.97, 300.0))
]


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which they are written."""
    with mpl.rc_context(canvas.STYLE):
        yield


def points(line: Line2D) -> np.ndarray:
    """Return the points of a line or of marks, one in a row."""
    return np.asarray(line.get_xydata())


def eager(axis: Axes) -> Line2D:
    """Return the line of the eager arm."""
    return next(line for line in axis.lines if line.get_label() == "eager")


def dots(axis: Axes) -> list[Line2D]:
    """Return the break-even marks."""
    return [line for line in axis.lines if line.get_marker() == "o"]


def cold(axis: Axes, arm: str) -> Line2D:
    """Return the line of an arm with a cold compile cache."""
    return next(line for line in axis.lines if str(line.get_label()).startswith(f"{arm}: "))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [make_record()],
        [replace(make_compiled(), compile_cold_s=None)],
        [replace(make_compiled(), speedup=None)],
        [replace(make_compiled(), latency_ms=None)],
        [replace(make_compiled(), batch_size=None)],
    ],
)
def test_nothing_to_show(rows: list[Record]) -> None:
    """Without a first call, speed-up, latency or batch size there is no figure."""
    assert compile_figure(rows, SOURCE) is None


@pytest.mark.parametrize("rows", [compiles(), MANY, MANY[:4]], ids=len)
def test_layout(rows: list[Record]) -> None:
    """Each workload has a panel, six at most; no text is cut or overlaps another."""
    figure = drawn(compile_figure, rows)
    assert troubles(figure) == []
    titles = [axis.get_title() for axis in figure.axes]
    workloads = list(dict.fromkeys(f"{r.variant} model b{r.batch_size} {r.mode}" for r in rows))
    assert titles == workloads[:6]
    left_out = f", 6 of {len(workloads)} workloads" if len(workloads) > 6 else ""
    assert figure.get_suptitle() == f"When compiling pays off{left_out}"
    for axis in figure.axes:
        assert axis.get_xlabel() == "images"
        assert len(boxes(axis.xaxis)) > 1
        assert len(boxes(axis.yaxis)) > 1
        assert lie_apart(boxes(axis.xaxis))
    assert figure.axes[0].get_ylabel() == "total time, s"


def test_legends() -> None:
    """The legend has each arm with its break-even images, and explains the signs."""
    rows = [make_compiled(), make_compiled(0.97, arm="compile_blocks")]
    names = [text.get_text() for text in legend_texts(drawn(compile_figure, rows))]
    assert sorted(names) == sorted(
        (
            *("first call with a cold cache", "with a warm cache", "has paid off", "eager"),
            *("compile: after 821 images (411 to never)", "compile_blocks: never"),
        )
    )


def test_every_arm_has_a_colour_of_its_own() -> None:
    """The lines and the dot of an arm share a colour that no other arm has."""
    (axis, *_) = drawn(compile_figure, MANY).axes
    colours = [cold(axis, arm).get_color() for arm in ("compile", "compile_blocks", "max_autotune")]
    assert len({*colours, eager(axis).get_color()}) == 4
    assert [dot.get_color() for dot in dots(axis)][:2] == colours[:2]
    warm = [line.get_color() for line in axis.lines if line.get_linestyle() == "--"]
    assert set(colours) <= set(warm)


def test_a_cold_cache_alone_has_no_warm_line() -> None:
    """An arm without a warm first call has no warm line."""
    (axis,) = drawn(compile_figure, [replace(make_compiled(), compile_warm_s=None)]).axes
    assert [line.get_linestyle() for line in axis.lines] == ["-", "-", "None"]


@settings(deadline=None, max_examples=15)
@given(
    speedup=st.floats(0.2, 5), cold_s=st.floats(0.5, 1000), batch_size=st.sampled_from([1, 8, 64])
)
def test_lines_cross_where_it_pays_off(speedup: float, cold_s: float, batch_size: int) -> None:
    """The lines cross at the dot; without a dot compiled is never ahead."""
    assume(not 1 < speedup < 1.001)
    row = make_compiled(speedup, cold_s, batch_size=batch_size)
    with mpl.rc_context(canvas.STYLE):
        (axis,) = drawn(compile_figure, [row]).axes
    plain, compiled = points(eager(axis)), points(cold(axis, "compile"))
    assert plain[0, 0] == compiled[0, 0] == pytest.approx(batch_size)
    assert compiled[0, 1] == pytest.approx(cold_s)
    if speedup <= 1:
        assert not dots(axis)
        assert (compiled[:, 1] >= plain[:, 1]).all()
        return
    ((even, total_s),) = (points(dot)[0] for dot in dots(axis))
    assert even == pytest.approx(row.break_even_images)
    assert total_s == pytest.approx(0.2 * even / batch_size)
    assert total_s == pytest.approx(cold_s + (even / batch_size - 1) * 0.2 / speedup)
    ahead = compiled[:, 1] < plain[:, 1]
    assert (ahead == (plain[:, 0] > even))[np.abs(plain[:, 0] / even - 1) > 1e-6].all()
    assert ahead.any()


def test_noisy_latencies_do_not_move_the_lines() -> None:
    """Slopes differ by the paired speed-ups, not by latencies from different times."""
    rows = [
        replace(make_compiled(1.25), latency_ms=900.0),
        replace(make_compiled(0.97, arm="compile_blocks"), latency_ms=100.0),
    ]
    (axis,) = drawn(compile_figure, rows).axes
    plain = points(eager(axis))
    for arm, speedup in (("compile", 1.25), ("compile_blocks", 0.97)):
        line = points(cold(axis, arm))
        slope = (line[-1, 1] - line[0, 1]) / (line[-1, 0] - line[0, 0])
        assert plain[-1, 1] / plain[-1, 0] / slope == pytest.approx(speedup)


def test_distant_break_even_is_never() -> None:
    """A break-even beyond any realistic number of images is not drawn, as "never" in the table."""
    row = replace(make_compiled(), break_even_images=2e10)
    (axis,) = drawn(compile_figure, [row]).axes
    assert not dots(axis)
    assert math.isfinite(axis.get_xlim()[1])
    assert axis.get_xlim()[1] < 1e6
