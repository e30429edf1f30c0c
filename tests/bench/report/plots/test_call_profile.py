"""bench.report.plots.call_profile: bars that add up, readable labels, a marked peak."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from bench.records.arm_costs import MEMORY_KINDS
from bench.records.call_profile import CALL_COMPONENTS, CallProfile, MemoryTrace, Share, Timeline
from bench.report.plots import canvas
from bench.report.plots.call_profile import (
    components_figure,
    memory_figure,
    operators_figure,
    watched_figure,
    write_profile_plots,
)
from helpers.figures import SOURCE, boxes, lie_apart
from helpers.profiles import MEBI, PROFILED, TIMELINE, make_profiled

Draw = Callable[[CallProfile, str], Figure | None]
LONG = Share(
    name="aten::_scaled_dot_product_flash_attention_for_cpu_backward",
    seconds=0.1,
    calls=12.0,
    within={"attention": 0.1},
)


def operators(profiled: CallProfile, source: str) -> Figure:
    """Return the figure of three operators and the others."""
    return operators_figure(profiled, 3, source)


DRAWS: list[Draw] = [components_figure, operators, memory_figure, watched_figure]
BARS: list[Draw] = [components_figure, operators]


@pytest.fixture(name="_style", autouse=True)
def _in_style() -> Iterator[None]:
    """Lay figures out in the style in which they are written."""
    with mpl.rc_context(canvas.STYLE):
        yield


def drawn(draw: Draw, profiled: CallProfile = PROFILED) -> Figure:
    """Return a figure after its final layout."""
    figure = draw(profiled, SOURCE)
    assert figure is not None
    figure.canvas.draw()
    return figure


def texts(figure: Figure) -> list[Text]:
    """Return every visible text."""
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("draw", BARS)
def test_bars_add_up_to_the_whole(draw: Draw) -> None:
    """A bar is as long as its share, in pieces by component; all bars make 100 %."""
    (axis,) = drawn(draw).axes
    pieces = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert sum(piece.get_width() for piece in pieces) == pytest.approx(100)


@pytest.mark.parametrize("draw", BARS)
def test_numbers_are_beside_their_bars(draw: Draw) -> None:
    """Share and time of every row are inside the figure and do not overlap."""
    figure = drawn(draw)
    (axis,) = figure.axes
    labels = [text for text in axis.texts if "%" in text.get_text()]
    assert labels[0].get_text() in {"55.6 %, 150 ms", "74.1 %, 200 ms"}
    assert len(labels) == len(boxes(axis.yaxis))
    found = [label.get_window_extent() for label in labels]
    assert lie_apart(found)
    assert all(box.x1 <= figure.bbox.x1 for box in found)


def test_the_longest_name_leaves_room_for_numbers() -> None:
    """The longest names and the longest bar's numbers are inside the figure."""
    profiled = make_profiled(operators=(LONG, *PROFILED.operators))
    figure = drawn(operators, profiled)
    (axis,) = figure.axes
    assert all(box.x0 >= 0 for box in boxes(axis.yaxis))
    assert lie_apart(boxes(axis.yaxis))
    ends = [text.get_window_extent().x1 for text in axis.texts]
    (legend,) = figure.legends
    assert max(ends) <= legend.get_window_extent().x0


def test_colours_are_explained() -> None:
    """The legend has the components that occur, in their order."""
    (legend,) = drawn(operators).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["attention", "MLP", "optimizer", "between"]
    assert names == sorted(names, key=CALL_COMPONENTS.index)


def test_memory_is_drawn_by_kind() -> None:
    """The upper panel has all kinds, the lower those that change; legends follow the stack."""
    figure = drawn(memory_figure)
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [kind for kind in reversed(MEMORY_KINDS) if kind in TIMELINE.live_bytes]
    above, below = figure.axes
    assert (len(above.collections), len(below.collections)) == (4, 2)
    assert above.get_ylabel() == "live memory, MiB"


def test_the_peak_is_marked() -> None:
    """Each panel marks the peak at its position, with its size, inside the panel."""
    above, below = drawn(memory_figure).axes
    for axis, size_mib in ((above, 671), (below, 340)):
        (mark,) = (line for line in axis.lines if line.get_marker() == "v")
        assert np.asarray(mark.get_xydata()).tolist() == [[9, size_mib]]
        assert axis.get_ylim()[1] > size_mib
        assert f"peak {size_mib} MiB" in [text.get_text() for text in axis.texts]


def test_parts_of_the_call_are_named() -> None:
    """Forward, backward and optimizer are named without overlap; a single part is not named."""
    above, _ = drawn(memory_figure).axes
    named = [text for text in above.texts if not text.get_text().startswith("peak")]
    assert [text.get_text() for text in named] == ["forward", "backward", "optimizer"]
    found = [text.get_window_extent() for text in named]
    assert all(one.x0 < other.x0 for one, other in pairwise(found))
    alone = make_profiled(memory=_with_phases({"forward": 1}))
    assert len(drawn(memory_figure, alone).axes[0].texts) == 1


def _with_phases(phases: dict[str, int]) -> Timeline:
    return Timeline(events=TIMELINE.events, live_bytes=TIMELINE.live_bytes, phases=phases)


def test_memory_unit_follows_the_peak() -> None:
    """A panel's unit, MiB or GiB, is that of its peak."""
    rows: dict[str, tuple[int, ...]] = {
        "parameters": (5000 * MEBI, 5000 * MEBI),
        "temporaries": (0, MEBI),
    }
    large = make_profiled(memory=Timeline(events=(0, 1), live_bytes=rows))
    above, below = drawn(memory_figure, large).axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("live memory, GiB", "live memory, MiB")


def test_where_nothing_changes_there_is_one_panel() -> None:
    """Memory that does not change has one panel, without an empty one below."""
    still = Timeline(events=(0,), live_bytes={"parameters": (MEBI,)})
    (axis,) = drawn(memory_figure, make_profiled(memory=still)).axes
    assert axis.get_xlabel() == "allocations and frees of the call, in their order"


def test_without_a_prediction_there_is_no_figure() -> None:
    """Without a prediction there is no memory figure."""
    assert memory_figure(make_profiled(memory=None), SOURCE) is None


def test_measured_memory_has_its_peak_marked() -> None:
    """The line has a step for each allocation and free; the peak has its size."""
    figure = drawn(watched_figure)
    (axis,) = figure.axes
    line, mark = axis.lines
    expected = ([0, 0, 10, 20, 30], [661, 662, 700, 690, 661])
    assert np.asarray(line.get_data()) == pytest.approx(np.array(expected))
    assert np.asarray(mark.get_data()) == pytest.approx(np.array([[10], [700]]))
    assert "peak 700 MiB" in [text.get_text() for text in texts(figure)]
    (low, high), (left, right) = axis.get_ylim(), axis.get_xlim()
    assert low < 661
    assert high > 700
    assert left == 0 < right


def test_without_a_measurement_there_is_no_figure() -> None:
    """Without a measurement or an allocation there is no figure."""
    empty = MemoryTrace(seconds=(0.0,), live_bytes=(5,))
    for watched in (None, empty):
        assert watched_figure(make_profiled(watched=watched), SOURCE) is None


@pytest.mark.parametrize("draw", DRAWS)
def test_title_and_source(draw: Draw) -> None:
    """Every figure has the case as its title, and the machine and commit as its source."""
    found = [text.get_text() for text in texts(drawn(draw))]
    assert SOURCE in found
    assert any(text.endswith("B/16 b1 train, on cpu") for text in found)


def test_files(tmp_path: Path) -> None:
    """Each figure is a PNG and an SVG; without memory there are two figures."""
    names = [path.name for path in write_profile_plots(tmp_path, PROFILED, 3, SOURCE)]
    assert names == [
        *("components.png", "components.svg", "operators.png", "operators.svg"),
        *("memory.png", "memory.svg", "memory-measured.png", "memory-measured.svg"),
    ]
    without = make_profiled(memory=None, watched=None)
    few = write_profile_plots(tmp_path / "few", without, 3, SOURCE)
    assert {path.stem for path in few} == {"components", "operators"}
    assert all(path.stat().st_size > 1000 for path in few)
