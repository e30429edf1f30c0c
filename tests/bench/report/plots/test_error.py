"""bench.report.plots.error: speed against accuracy, with the Pareto front."""

from collections.abc import Iterator, Sequence

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from bench.records.row import Record
from bench.report.plots import canvas
from bench.report.plots.error import error_figure, fronts
from helpers.arm_costs import VARIANTS, make_costly, precisions
from helpers.figures import SOURCE, drawn, legend_texts, points, troubles
from helpers.records import make_record

Point = tuple[float, float]
# Few values, so that some arms are equal in one or in both.
POINTS = st.lists(
    st.tuples(st.sampled_from([0.5, 1.0, 1.5, 2.0]), st.sampled_from([1e-7, 1e-5, 1e-3])),
    min_size=1,
    max_size=8,
)
FACTORS = {
    "patcher": ("conv", "unfold", "linear"),
    "attention": ("mha", "mha_weights", "manual", "sdpa"),
    "compile": ("eager", "compile", "compile_blocks"),
    "checkpoint": ("none", "blocks"),
    "optimizer": ("adamw", "adamw_loop", "adamw_foreach", "adamw_fused", "sgd"),
}
RUN = [
    *(
        make_record(factor=factor, baseline=arms[0], arm=arm, variant=variant, speedup=1 + place)
        for factor, arms in FACTORS.items()
        for variant in VARIANTS
        for place, arm in enumerate(arms)
    ),
    *precisions(),
]


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which they are written."""
    with mpl.rc_context(canvas.STYLE):
        yield


def arms_at(places: Sequence[Point], **changes: str) -> list[Record]:
    """Return arms of one workload at these speed-ups and errors."""
    return [
        make_costly(arm=f"arm {place}", speedup=speedup, output_error=error, **changes)
        for place, (speedup, error) in enumerate(places)
    ]


def beats(one: Point, other: Point) -> bool:
    """Return whether an arm is better in speed or error, and no worse in the other."""
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def marks(axis: Axes) -> list[Point]:
    """Return the points of a panel."""
    found = [line for line in axis.lines if line.get_marker() not in ("None", None)]
    return [point for line in found for point in points(line)]


def steps(axis: Axes) -> list[list[Point]]:
    """Return the corners of the fronts of a panel."""
    (fronts_,) = axis.collections
    assert isinstance(fronts_, LineCollection)
    return [[(x, y) for x, y in each.tolist()] for each in fronts_.get_segments()]


@given(places=POINTS)
def test_front_is_not_dominated(places: list[Point]) -> None:
    """No arm dominates the front; every other arm is dominated by or equal to one of it."""
    front = next(fronts(arms_at(places)), None)
    best = {each for each in places if not any(beats(other, each) for other in places)}
    if front is None:
        assert len(best) == 1
        return
    assert set(front) == best
    assert len(front) == len(set(front)) > 1
    assert front == sorted(front, reverse=True)
    for each in set(places) - best:
        assert any(beats(other, each) for other in front)


def test_workloads_have_fronts_of_their_own() -> None:
    """Arms of different workloads do not dominate each other; a single arm has no front."""
    rows = [
        *arms_at([(1.0, 1e-7), (2.0, 1e-3)]),
        *arms_at([(1.5, 1e-7), (3.0, 1e-2)], mode="train"),
        *arms_at([(9.0, 1e-9)], variant="L/16"),
    ]
    assert list(fronts(rows)) == [[(2.0, 1e-3), (1.0, 1e-7)], [(3.0, 1e-2), (1.5, 1e-7)]]
    assert list(fronts([])) == []


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [make_record(arm="mha")],
        [make_record(output_error=None)],
        [make_record(speedup=None)],
    ],
)
def test_nothing_to_show(rows: list[Record]) -> None:
    """Without a candidate of known speed and error there is no figure."""
    assert error_figure(rows, SOURCE) is None


@pytest.mark.parametrize("rows", [RUN, RUN[:9], RUN[:21], list(precisions())], ids=len)
def test_layout(rows: list[Record]) -> None:
    """Each factor has a panel, three in a row; no text is cut or overlaps another."""
    figure = drawn(error_figure, rows)
    assert troubles(figure) == []
    factors = dict.fromkeys(row.factor for row in rows)
    assert [axis.get_title().partition(",")[0] for axis in figure.axes] == list(factors)
    assert {axis.get_xlabel() for axis in figure.axes} == {"speed-up"}
    for axis in figure.axes:
        label = axis.get_ylabel()
        is_first = axis.get_subplotspec().is_first_col()  # type: ignore[union-attr]
        assert (label == "relative error of the output against float64") is is_first
    assert figure.get_figwidth() < 11


def test_every_arm_has_its_points() -> None:
    """All rows of a factor are inside its panel; only the baseline is hollow."""
    figure = drawn(error_figure, RUN)
    for axis, factor in zip(figure.axes, [*FACTORS, "precision"], strict=True):
        rows = [row for row in RUN if row.factor == factor]
        assert sorted(marks(axis)) == sorted((r.speedup, r.output_error) for r in rows)
        (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
        assert all(left < x < right and low < y < high for x, y in marks(axis))
        hollow = [line.get_label() for line in axis.lines if line.get_markerfacecolor() == "white"]
        assert hollow == [rows[0].baseline]
    names = {text.get_text() for text in legend_texts(figure)}
    assert names == {row.arm for row in RUN}


def test_fronts_are_drawn() -> None:
    """The front is a staircase: the least error at each speed."""
    rows = arms_at([(1.0, 1e-7), (2.0, 1e-3), (1.5, 1e-2)], baseline="arm 0")
    (axis,) = drawn(error_figure, rows).axes
    assert steps(axis) == [[(2.0, 1e-3), (1.0, 1e-3), (1.0, 1e-7)]]


def test_devices_have_separate_panels() -> None:
    """Each of two devices has a panel and a front of its own."""
    rows = [
        *arms_at([(1.0, 1e-7), (2.0, 1e-3)]),
        *arms_at([(1.0, 1e-8), (5.0, 1e-4)], device="cuda"),
    ]
    first, second = drawn(error_figure, rows).axes
    assert [axis.get_title() for axis in (first, second)] == [
        "precision, against fp32, cpu",
        "precision, against fp32, cuda",
    ]
    assert (len(steps(first)), len(steps(second))) == (1, 1)


def test_a_factor_without_a_candidate_has_no_panel() -> None:
    """A factor with a control alone has no panel."""
    rows = [make_record(arm="mha"), *arms_at([(2.0, 1e-3)])]
    (axis,) = drawn(error_figure, rows).axes
    assert axis.get_title() == "precision, against fp32"
