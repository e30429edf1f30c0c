"""bench.report.calibration: the result of a calibration as a table, a sentence and a figure."""

import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from bench.analysis.calibration import JUDGES, share_bounds
from bench.records.calibration import Kind, Method, Rate
from bench.report.calibration import calibration_figure, rates_table, sentence
from bench.report.plots.canvas import STYLE
from helpers.figures import SOURCE, boxes, lie_apart
from helpers.records import make_rate
from helpers.reports import check_golden

STACKS = (Kind.SAME_STACK, Kind.STACK_51, Kind.STACK_21)
KINDS = (Kind.COPY, Kind.PLACEBO, Kind.SLOWER)
# Verdicts "different" (equal arms) or "slower" (others) of each method, out of twenty.
FOUND = dict(
    zip(JUDGES, ((0, 1, 20), (0, 2, 19), (1, 3, 18), (11, 12, 15), (6, 10, 14)), strict=True)
)


def rate(method: Method, kind: Kind, found: int) -> Rate:
    """Return the verdicts of a method on twenty trials of one kind."""
    slower = found // 2 if kind.is_equal else found
    low, high = share_bounds(found, 20)
    made = make_rate(method, kind, different=found, slower=slower, low=low, high=high)
    if kind in STACKS:
        return made
    return replace(made, of_whole=-0.0163, of_whole_truth=-0.0158, of_whole_half_width=0.004)


def rates_of(kinds: Sequence[Kind]) -> list[Rate]:
    """Return the rates of every method for these kinds of trial."""
    return [
        rate(method, kind, found)
        for method, numbers in FOUND.items()
        for kind, found in zip(kinds, numbers, strict=True)
    ]


# Of slower parts, in a sentence.
WHOLE = (
    "0 of 20 parts with 5 % more products were called slower, by -1.6 % ± 0.4 % of the whole where "
    "-1.6 %"
)
PAIRS = make_rate(kind=Kind.DIFFERENCE, trials=40, different=2, residual=0.0012)
RATES = [*rates_of(KINDS), PAIRS]


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


@pytest.mark.parametrize(
    ("golden", "rates"),
    [("calibration.txt", RATES), ("calibration_of_stacks.txt", rates_of(STACKS))],
    ids=["placebos", "earlier version"],
)
def test_table_and_sentence(golden: str, rates: list[Rate]) -> None:
    """The table has every method's rates, in a block per kind of trial, above the finding."""
    console = Console(file=StringIO(), width=160)
    with console.capture() as capture:
        console.print(rates_table(rates))
    text = re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)
    check_golden(golden, f"{text}{sentence(rates)}\n")


@pytest.mark.parametrize("kind", Kind)
def test_counted_verdicts_by_kind(kind: Kind) -> None:
    """For equal arms any difference counts, for others only the verdict slower."""
    counted = 3 if kind in (Kind.SLOWER, Kind.STACK_21, Kind.STACK_51) else 5
    assert make_rate(kind=kind, different=5, slower=3).counted == counted


def test_a_sentence_without_the_other_methods() -> None:
    """With a single method the sentence has no comparison."""
    said = sentence([rate(Method.RUN, kind, 0) for kind in STACKS])
    assert said == (
        "On this machine 0 of 20 comparisons of identical code were called different (at most "
        "17 % with 95 % confidence), 0 of 20 that are 2 % slower and 0 of 20 that are 5 % slower "
        "were called slower."
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            Kind.COPY,
            "0 of 20 identical copies were called different; {} copies",
        ),
        (
            Kind.SLOWER,
            WHOLE + " is true; {} slower parts",
        ),
    ],
)
def test_a_sentence_of_one_kind(kind: Kind, said: str) -> None:
    """Kinds of which nothing was measured are not named."""
    held = "95 % intervals held the truth in 95 % of"
    assert sentence([rate(Method.RUN, kind, 0)]) == f"On this machine {said.format(held)}."


def test_panels() -> None:
    """Each kind of trial has a panel with a bar for every method's share."""
    figure = figure_of(RATES)
    assert [axis.get_title().partition(":")[0] for axis in figure.axes] == [
        *KINDS,
    ]
    for axis, kind in zip(figure.axes, KINDS, strict=True):
        shares = [each.counted / 20 for each in RATES if each.kind is kind]
        assert bar_ends(axis) == pytest.approx(shares, abs=1e-9)
        spans = [tuple(np.asarray(line.get_xdata())) for line in axis.lines]
        assert spans == [(each.low, each.high) for each in RATES if each.kind is kind]


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
