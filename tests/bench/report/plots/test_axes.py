"""Axes of any range: at least two labels, without overlaps."""

from functools import partial
from io import StringIO

import matplotlib as mpl
import pytest
from rich.console import Console

from bench.records.comparison import DELTA
from bench.report.plots import canvas
from bench.report.plots import speed as plots
from bench.report.plots.canvas import MOST_SIGNS, shortened
from bench.report.plots.speed import latency_figure
from bench.report.tables.layout import NARROW_COLUMNS
from bench.report.tables.verdicts import verdict_tables
from helpers.figures import boxes, drawn, level, lie_apart
from helpers.records import make_analysis, make_record

speedup_figure = partial(plots.speedup_figure, delta=DELTA)


@pytest.mark.parametrize("low", [0.001, 0.2, 1])
@pytest.mark.parametrize("high", [1, 1.03, 3, 50, 2000])
def test_speedups_of_any_range_can_be_read(low: float, high: float) -> None:
    """Tick labels do not overlap, from nearly equal arms to factors of a thousand."""
    with mpl.rc_context(canvas.STYLE):
        records = [level("attention", 1, low), level("attention", 2, high)]
        labels = boxes(drawn(speedup_figure, records).axes[0].xaxis)
    assert len(labels) > 1
    assert lie_apart(labels)


@pytest.mark.parametrize("low", [0.011, 5.6, 300])
@pytest.mark.parametrize("factor", [1.05, 2.5, 30, 1e6])
def test_latencies_of_any_range_can_be_read(low: float, factor: float) -> None:
    """Tick labels do not overlap, from a few percent to six decades."""
    records = [
        make_record(latency_ms=value, latency_low_ms=value, latency_high_ms=value)
        for value in (low, low * factor)
    ]
    with mpl.rc_context(canvas.STYLE):
        figure = drawn(latency_figure, [*records, make_record(factor="precision", arm="bf16")])
        labels = boxes(figure.axes[0].yaxis)
    assert len(labels) > 1
    assert lie_apart(labels)


def rows_in(width: int) -> str:
    """Return the printed table of one control at this width in columns."""
    printed = StringIO()
    analysis = make_analysis([make_record(arm="mha", verdict="equivalent")])
    Console(file=printed, width=width).print(verdict_tables(analysis))
    return "".join(line for line in printed.getvalue().splitlines(keepends=True) if "│" in line)


def test_a_narrow_terminal_cuts_no_verdict() -> None:
    """In 80 columns cells may wrap, but the verdict and all words stay whole."""
    assert "= equivalent" in rows_in(80)
    assert "…" not in rows_in(80)


@pytest.mark.parametrize("width", [NARROW_COLUMNS, 120, 200])
def test_usual_terminal_keeps_every_row_whole(width: int) -> None:
    """At the usual widths every row has its border, and numbers stay whole."""
    rows = rows_in(width)
    assert {line.rstrip()[-1] for line in rows.splitlines()} == {"│"}
    assert "2.5e-07" in rows
    assert "12.3 ms" in rows


def test_long_names_leave_room_for_the_plot() -> None:
    """A long label keeps its beginning and its end, where paths differ."""
    name = "some/very/long/path/to/a/users/own/module.py:the_factory_of_mine"
    assert shortened("short") == "short"
    assert len(shortened(name)) == MOST_SIGNS
    assert shortened(name).startswith("some/very/long")
    assert shortened(name).endswith("the_factory_of_mine")
    assert [len(shortened("x" * 100, most)) for most in (10, 11)] == [10, 11]
