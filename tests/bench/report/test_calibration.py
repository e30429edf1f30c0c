"""bench.report.calibration: the result of a calibration as a table, a sentence and a figure."""

import re
from io import StringIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from bench.analysis.calibration import JUDGES, share_bounds
from bench.records.calibration import Method, Rate
from bench.report.calibration import calibration_figure, count, kind, rates_table, sentence
from bench.report.plots.canvas import STYLE
from helpers.figures import SOURCE, boxes, lie_apart
from helpers.records import make_rate
from helpers.reports import check_golden

TRUTHS = (1.0, 50 / 51, 20 / 21)
# Verdicts "different" (identical arms) or "slower" (others) of each method, out of twenty.
FOUND = dict(
    zip(JUDGES, ((0, 19, 20), (0, 17, 20), (1, 18, 20), (11, 12, 15), (6, 10, 14)), strict=True)
)


def rate(method: Method, truth: float, found: int) -> Rate:
    """Return the verdicts of a method on twenty trials of one kind."""
    slower = found // 2 if truth == 1 else found
    low, high = share_bounds(found, 20)
    return make_rate(method, truth, different=found, slower=slower, low=low, high=high)


RATES = [
    rate(method, truth, found)
    for method, numbers in FOUND.items()
    for truth, found in zip(TRUTHS, numbers, strict=True)
]


def figure_of(rates: list[Rate]) -> Figure:
    """Return the figure after its final layout."""
    figure = calibration_figure(rates, SOURCE)
    with mpl.rc_context(STYLE):
        figure.canvas.draw()
    return figure


def bar_ends(axis: Axes) -> list[float]:
    """Return the ends of a panel's bars."""
    return [
        float(bar.get_extents().transformed(axis.transData.inverted()).x1) for bar in axis.patches
    ]


def test_table_and_sentence() -> None:
    """The table has every method's rates, in a block per kind of trial, above the finding."""
    console = Console(file=StringIO(), width=130)
    with console.capture() as capture:
        console.print(rates_table(RATES))
    text = re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)
    check_golden("calibration.txt", f"{text}{sentence(RATES)}\n")


@pytest.mark.parametrize(
    ("truth", "name"), [(1.0, "identical arms"), (20 / 21, "5 % slower"), (50 / 51, "2 % slower")]
)
def test_kinds(truth: float, name: str) -> None:
    """A kind of trial is named by the true relation of its arms."""
    assert kind(truth) == name


@pytest.mark.parametrize(("truth", "counted"), [(1.0, 5), (20 / 21, 3)])
def test_counted_verdicts_by_kind(truth: float, counted: int) -> None:
    """For identical arms any difference counts, for others only the verdict slower."""
    assert count(make_rate(truth=truth, different=5, slower=3)) == counted


def test_a_sentence_without_the_other_methods() -> None:
    """With a single method the sentence has no comparison."""
    said = sentence([rate(Method.RUN, truth, 0) for truth in TRUTHS])
    assert said == (
        "On this machine 0 of 20 comparisons of identical code were called different (at most "
        "17 % with 95 % confidence), 0 of 20 that are 2 % slower and 0 of 20 that are 5 % slower "
        "were called slower."
    )


def test_panels() -> None:
    """Each kind of trial has a panel with a bar for every method's share."""
    figure = figure_of(RATES)
    assert [axis.get_title().partition(":")[0] for axis in figure.axes] == [
        kind(truth) for truth in TRUTHS
    ]
    for axis, truth in zip(figure.axes, TRUTHS, strict=True):
        shares = [count(each) / 20 for each in RATES if each.truth == truth]
        assert bar_ends(axis) == pytest.approx(shares, abs=1e-9)
        spans = [tuple(np.asarray(line.get_xdata())) for line in axis.lines]
        assert spans == [(each.low, each.high) for each in RATES if each.truth == truth]


def test_labels() -> None:
    """Methods are labelled once, from top to bottom, inside the figure; bars have their counts."""
    figure = figure_of(RATES)
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == list(JUDGES)
    bottom, top = first.get_ylim()
    assert bottom > top
    for axis in figure.axes:
        assert lie_apart(boxes(axis.xaxis))
        counts = [text.get_text() for text in axis.texts]
        assert counts == [f"{round(20 * end)} of 20" for end in bar_ends(axis)]
        for text in axis.texts:
            assert text.get_window_extent().x1 <= figure.bbox.x1
    corners = np.array([box.get_points() for box in boxes(first.yaxis)])
    assert (corners >= figure.bbox.min).all()


def test_counts_do_not_overlap_their_bounds() -> None:
    """A count is beside or above its bounds and does not overlap them."""
    figure = figure_of(RATES)
    for axis in figure.axes:
        for line, text in zip(axis.lines, axis.texts, strict=True):
            assert not text.get_window_extent().overlaps(line.get_window_extent())


def test_source() -> None:
    """The figure has the machine and the commit as its source."""
    assert SOURCE in {text.get_text() for text in figure_of(RATES).texts}
