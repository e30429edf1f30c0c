"""Axes of any range: at least two labels, and none over another."""

from io import StringIO

import matplotlib as mpl
import pytest
from rich.console import Console

from bench.report import plots
from bench.report.plots import latency_figure, speedup_figure
from bench.report.tables import summary
from figures import boxes, drawn, level, lie_apart
from makers import make_record


@pytest.mark.parametrize("low", [0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1])
@pytest.mark.parametrize("high", [1, 1.03, 1.2, 1.5, 2, 3, 8, 50, 500, 2000])
def test_speedups_of_any_range_can_be_read(low: float, high: float) -> None:
    """From nearly equal arms to factors of a thousand the ticks have room."""
    with mpl.rc_context(plots._STYLE):
        records = [level("attention", 1, low), level("attention", 2, high)]
        labels = boxes(drawn(speedup_figure, records).axes[0].xaxis)
    assert len(labels) > 1
    assert lie_apart(labels)


@pytest.mark.parametrize("low", [0.011, 1, 5.6, 12, 300])
@pytest.mark.parametrize("factor", [1.05, 1.3, 2, 2.5, 5, 30, 300, 18000, 1e6])
def test_latencies_of_any_range_can_be_read(low: float, factor: float) -> None:
    """From a few percent to six decades the ticks have room."""
    records = [
        make_record(latency_ms=value, latency_low_ms=value, latency_high_ms=value)
        for value in (low, low * factor)
    ]
    with mpl.rc_context(plots._STYLE):
        figure = drawn(latency_figure, [*records, make_record(factor="precision", arm="bf16")])
        labels = boxes(figure.axes[0].yaxis)
    assert len(labels) > 1
    assert lie_apart(labels)


def test_a_narrow_terminal_cuts_no_verdict() -> None:
    """In 80 columns cells may wrap, but the verdict stays whole."""
    printed = StringIO()
    Console(file=printed, width=80).print(summary([make_record(arm="mha", verdict="equivalent")]))
    assert "= equivalent" in printed.getvalue()
    assert "…" not in printed.getvalue()
