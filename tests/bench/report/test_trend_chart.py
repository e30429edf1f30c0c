"""bench.report.trend_chart: panels with the changes of each series, changed ones first."""

from dataclasses import replace

import numpy as np
from matplotlib.collections import LineCollection

from bench.report.trend_chart import trend_figure
from bench.report.trend_series import by_series, changes_of
from bench.report.units import signed_percent
from helpers.figures import drawn_figure, texts_of
from helpers.histories import SLOWER, history, point

SERIES = by_series(history())
FOUND = changes_of(SERIES)


def test_the_chart_marks_changes_first() -> None:
    """The changed series has the first panel, with a dashed line and the change."""
    figure = drawn_figure(trend_figure(SERIES, FOUND, "source"))
    first, second = figure.axes
    assert "bf16" in first.get_title()
    marks = [line for line in first.lines if line.get_linestyle() == "--"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marks] == [9.5]
    assert not [line for line in second.lines if line.get_linestyle() == "--"]
    assert signed_percent(FOUND[0].change) in texts_of(figure)


def test_the_range_of_a_change_is_shaded() -> None:
    """The 95 % range of runs is shaded."""
    wide = replace(FOUND[0], earliest=9, latest=12)
    (shade,) = drawn_figure(trend_figure(SERIES, [wide], "source")).axes[0].patches
    assert shade.get_extents().width > 0


def test_kinds_have_markers_at_one_level() -> None:
    """Runs of two kinds have two markers, and the second kind's are at the level of the first."""
    series = by_series(history(second=3.0))
    axis = drawn_figure(trend_figure(series, changes_of(series), "source")).axes[0]
    runs = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert sorted(len(np.asarray(line.get_xdata())) for line in runs) == [8, 12]
    assert len({str(line.get_marker()) for line in runs}) == 2
    assert max(float(np.asarray(line.get_ydata()).max()) for line in runs) < 1.3


def test_a_run_without_an_interval_is_drawn() -> None:
    """A missing interval leaves the point as it is."""
    points = [point("a", day, 1.0, low=None, high=None) for day in (1, 2, 3)]
    axis = drawn_figure(trend_figure(by_series(points), [], "source")).axes[0]
    (line,) = axis.lines
    assert len(np.asarray(line.get_xdata())) == 3


def test_a_change_of_one_kind_has_no_common_level() -> None:
    """A change of one kind is marked, without a line at a level that the other kind has not."""
    series = by_series(history(second=3.0))
    (found,) = changes_of(series)
    alone = replace(found, kind=found.by_kind[0].kind)
    axis = trend_figure(series, [alone], "source").axes[0]
    assert [line for line in axis.lines if line.get_linestyle() == "--"]
    lines = [each for each in axis.collections if isinstance(each, LineCollection)]
    assert len(lines) == 1, "the intervals of the runs"


def test_a_series_against_its_baseline_says_so() -> None:
    """The title of a panel names the baseline that its values are divided by."""
    series = {SLOWER: replace(SERIES[SLOWER], against="fp32")}
    assert trend_figure(series, [], "source").axes[0].get_title().endswith("bf16 / fp32")


def test_chart_of_a_subset_gives_the_total() -> None:
    """A chart with some of the series gives their total number."""
    points = [point(f"series {n}", day, 1.0) for n in range(30) for day in (1, 2, 3)]
    figure = drawn_figure(trend_figure(by_series(points), [], "source"))
    assert any("24 of 30 series" in text for text in texts_of(figure))
    assert not any(" of 2 series" in text for text in texts_of(trend_figure(SERIES, [], "source")))
