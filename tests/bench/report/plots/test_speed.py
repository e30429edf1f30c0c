"""bench.report.plots.speed: figures that show every row, with readable labels."""

from collections.abc import Iterator
from functools import partial
from itertools import product

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from bench.records.comparison import DELTA, VERDICTS
from bench.records.row import Record
from bench.report.plots import canvas
from bench.report.plots import speed as plots
from bench.report.plots.error import error_figure
from bench.report.plots.speed import latency_figure
from helpers.figures import LEVELS, SOURCE, Draw, boxes, drawn, level, lie_apart, on
from helpers.records import NOT_MEASURED, make_record

speedup_figure = partial(plots.speedup_figure, delta=DELTA)
SPEEDUPS = (1.0, 0.9, 1.3, 2.2)
DRAWS: list[Draw] = [latency_figure, error_figure, speedup_figure]
all_figures = pytest.mark.parametrize("draw", DRAWS)


def rows(factor: str) -> list[Record]:
    """Return rows of every level of a factor on three variants, in both modes."""
    return [
        level(factor, place, SPEEDUPS[place], variant=variant, mode=mode)
        for variant, mode in product(("B/16", "L/16", "H/14"), ("forward", "train"))
        for place in range(len(LEVELS[factor]))
    ]


LOST = make_record(**NOT_MEASURED | {"status": "oom"})
ATTENTION, RUN = rows("attention"), [*rows("attention"), LOST, *rows("precision")]


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which write_plots draws them."""
    with mpl.rc_context(canvas.STYLE):
        yield


@all_figures
@pytest.mark.parametrize("records", [[], [LOST, LOST]], ids=["no rows", "nothing measured"])
def test_nothing_to_show(draw: Draw, records: list[Record]) -> None:
    """Without values there is no figure."""
    assert draw(records, SOURCE) is None


@pytest.mark.parametrize(
    "record", [make_record(arm="mha"), make_record(output_error=None)], ids=["control", "unchecked"]
)
def test_no_error_to_show(record: Record) -> None:
    """Without a candidate compared with float64 there is no error figure."""
    assert error_figure([record], SOURCE) is None
    assert latency_figure([record], SOURCE) is not None


@pytest.mark.parametrize(
    ("draw", "x_label", "y_label"),
    [
        (speedup_figure, "speed-up with 95 % interval (band: ±2.0%)", ""),
        (latency_figure, "", "latency, ms"),
        (error_figure, "speed-up", "relative error of the output against float64"),
    ],
)
def test_axis_labels(draw: Draw, x_label: str, y_label: str) -> None:
    """Every axis has a quantity and a unit."""
    first = drawn(draw, ATTENTION).axes[0]
    assert (first.get_xlabel(), first.get_ylabel()) == (x_label, y_label)


@all_figures
def test_layout(draw: Draw) -> None:
    """Labels of an axis do not overlap, and those of the y axis are inside the figure."""
    figure = drawn(draw, ATTENTION if draw is speedup_figure else RUN)
    for axis in on(figure):
        assert len(boxes(axis.xaxis)) > 1
        assert lie_apart(boxes(axis.xaxis))
        assert lie_apart(boxes(axis.yaxis))
    labels = [label for axis in on(figure) for label in boxes(axis.yaxis)]
    corners = np.array([label.get_points() for label in labels])
    assert len(corners) >= 3
    assert (corners >= figure.bbox.min).all()
    assert (corners <= figure.bbox.max).all()


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (0.97, 1.04), (0.5, 2.0), (0.4, 5.0), (1.0, 40.0), (0.3, 300.0)]
)
def test_ratio_axis(low: float, high: float) -> None:
    """At any range the axis has 1, all values and labels that do not overlap."""
    figure = drawn(speedup_figure, [level("attention", 1, low), level("attention", 2, high)])
    left, right = figure.axes[0].get_xlim()
    assert left < min(low, 1) <= max(high, 1) < right
    labels = boxes(figure.axes[0].xaxis)
    assert len(labels) > 1
    assert lie_apart(labels)


def test_wide_intervals_do_not_hide_the_values() -> None:
    """A very wide interval is cut where it would compress the values."""
    wild = make_record(speedup_low=1e-6, speedup_high=1e6)
    left, right = drawn(speedup_figure, [wild]).axes[0].get_xlim()
    assert 0.5 < left < 1
    assert 1.25 < right < 3


def test_a_row_for_each_record() -> None:
    """Every measured row has a line, labelled by workload and arm, from top to bottom."""
    axis = drawn(speedup_figure, [*ATTENTION, LOST]).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    expected = [f"{r.variant} attention b1 {r.mode}   {r.arm}" for r in ATTENTION]
    assert names == expected
    bottom, top = axis.get_ylim()
    assert bottom > len(names) - 1
    assert top < 0


def test_marks_and_intervals() -> None:
    """A mark is at the speed-up, its line from low to high; only controls are hollow."""
    axis = drawn(speedup_figure, ATTENTION[:4]).axes[0]
    marks = [line for line in axis.lines if line.get_marker() == "o"]
    found = [float(np.asarray(mark.get_xdata())[0]) for mark in marks]
    assert found == pytest.approx([record.speedup for record in ATTENTION[:4]])
    hollow = [mark.get_markerfacecolor() == "white" for mark in marks]
    assert hollow == [True, False, False, False]
    assert len({mark.get_color() for mark in marks}) == len(VERDICTS)
    spans = [tuple(np.asarray(line.get_xdata())) for line in axis.lines]
    assert {(r.speedup_low, r.speedup_high) for r in ATTENTION[:4]} <= set(spans)


def test_one_pass_has_no_line() -> None:
    """A row without an interval has a mark and no line."""
    alone = drawn(speedup_figure, [make_record(speedup_low=None, speedup_high=None)])
    with_interval = drawn(speedup_figure, [make_record()])
    assert len(alone.axes[0].lines) == len(with_interval.axes[0].lines) - 1


def test_latency_panels() -> None:
    """Each factor, mode and batch size has a panel with a mark for every row."""
    records = [*RUN, level("precision", 0, 1.0, batch_size=64, device="cuda")]
    figure = drawn(latency_figure, records)
    assert {axis.get_title() for axis in on(figure)} == {
        *(f"{factor}, {mode}, batch 1" for factor in LEVELS for mode in ("forward", "train")),
        "precision, forward, batch 64, cuda",
    }
    marks = [np.asarray(line.get_ydata()) for axis in on(figure) for line in axis.lines]
    expected = sorted(record.latency_ms for record in records if record.latency_ms is not None)
    assert sorted(np.concatenate(marks).tolist()) == pytest.approx(expected)


def legend_names(figure: Figure) -> set[str]:
    """Return the texts of all legends."""
    legends = [*figure.legends, *filter(None, (axis.get_legend() for axis in figure.axes))]
    return {text.get_text() for legend in legends for text in legend.get_texts()}


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (speedup_figure, {*VERDICTS, "control"}),
        (latency_figure, {*LEVELS["attention"], *LEVELS["precision"]}),
        (error_figure, {*LEVELS["attention"], *LEVELS["precision"]}),
    ],
)
def test_legends(draw: Draw, names: set[str]) -> None:
    """The legend explains every colour and sign."""
    assert legend_names(drawn(draw, RUN)) == names


@all_figures
def test_source(draw: Draw) -> None:
    """Every figure has the machine and the commit as its source."""
    assert SOURCE in {text.get_text() for text in drawn(draw, ATTENTION).texts}


def test_title_and_legend_do_not_overlap() -> None:
    """The legend of the verdicts does not overlap the title."""
    figure = drawn(speedup_figure, rows("precision"))
    title = next(text for text in figure.texts if text.get_text().startswith("precision: "))
    assert not title.get_window_extent().overlaps(figure.legends[0].get_window_extent())


def test_too_many_arms_for_a_legend() -> None:
    """A latency figure with hundreds of arms, as in a calibration, is left out."""
    many = [make_record(arm=f"a.py:f#{number}") for number in range(100)]
    assert latency_figure(many, SOURCE) is None
    assert latency_figure(many[:5], SOURCE) is not None


def test_own_arms_are_shown_by_their_inputs() -> None:
    """A user's own arm is labelled by its inputs and judged by its baseline."""
    own = {"factor": "factory", "inputs": "1,197,768", "variant": None, "batch_size": None}
    rows = [make_record(arm=f"mine.py:{name}", baseline="mine.py:old", **own) for name in "ab"]
    latency, error, speedup = (draw(rows, SOURCE) for draw in DRAWS)
    assert latency and error and speedup  # noqa: PT018 (one thing: all are drawn)
    texts = [
        text.get_text() for figure in (latency, error, speedup) for text in figure.findobj(Text)
    ]
    assert not any("None" in text or "factory" in text for text in texts)
    assert "1,197,768" in texts
    assert "compare, forward" in texts
    assert "relative error of the output against the baseline" in texts
    assert "compare: speed-up over mine.py:old" in texts
