"""Rows to plot, and the positions of labels in a drawn figure."""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bench.records.comparison import VERDICTS
from bench.records.row import Record
from helpers.records import make_record

Draw = Callable[[Sequence[Record], str], Figure | None]
SOURCE = "AMD EPYC 7B13, 2 threads; torch 2.9.0; commit 0123456789; run 20260102-030405"
LEVELS = {
    "attention": ("mha", "mha_weights", "manual", "sdpa"),
    "precision": ("fp32", "amp_bf16", "bf16"),
}


def level(factor: str, place: int, speedup: float, **changes: Any) -> Record:
    """Build the row of one level of a factor."""
    name, times_ms = LEVELS[factor][place], np.array([12, 11.5, 12.5]) / speedup
    numbers: dict[str, Any] = dict(
        zip(("latency_ms", "latency_low_ms", "latency_high_ms"), times_ms.tolist(), strict=True)
    )
    numbers |= {"speedup": speedup, "speedup_low": 0.97 * speedup, "speedup_high": 1.03 * speedup}
    numbers |= {"verdict": VERDICTS[place], "output_error": 1e-7 * 10**place}
    arms = {"factor": factor, "baseline": LEVELS[factor][0], "arm": name}
    return make_record(**arms, **numbers, **changes)


def drawn(draw: Draw, records: Sequence[Record]) -> Figure:
    """Draw a figure and return it with its final layout."""
    figure = draw(records, SOURCE)
    assert figure is not None
    figure.canvas.draw()
    return figure


def on(figure: Figure) -> list[Axes]:
    """Return the visible panels."""
    return [axis for axis in figure.axes if axis.axison]


def boxes(axis: Axis) -> list[Bbox]:
    """Return the boxes of an axis's drawn labels, without those beyond its limits."""
    (low, high), along = sorted(axis.get_view_interval()), int(isinstance(axis, YAxis))
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [
        label.get_window_extent() for label in labels if low <= label.get_position()[along] <= high
    ]


def lie_apart(labels: Sequence[Bbox]) -> bool:
    """Return whether no two neighbours overlap."""
    return not any(one.overlaps(other) for one, other in pairwise(labels))


def points(line: Line2D) -> list[tuple[float, float]]:
    """Return the points of a line or of markers."""
    xs, ys = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def legend_texts(figure: Figure) -> list[Text]:
    """Return the texts and titles of all legends."""
    legends: list[Any] = figure.findobj(Legend)
    titles = [legend.get_title() for legend in legends if legend.get_title().get_visible()]
    return [*titles, *(text for legend in legends for text in legend.get_texts())]


def text_boxes(figure: Figure) -> dict[str, Bbox]:
    """Return the box of every text in a drawn figure; repeated texts are numbered."""
    texts = [*figure.texts, *legend_texts(figure)]
    found: dict[str, Bbox] = {}
    for axis in on(figure):
        texts += [axis.title, axis.xaxis.label, axis.yaxis.label, *axis.texts]
        for place, box in enumerate((*boxes(axis.xaxis), *boxes(axis.yaxis))):
            found[f"tick {place} of {figure.axes.index(axis)}"] = box
    for place, text in enumerate(texts):
        if text.get_text():
            found[f"{text.get_text()} ({place})"] = text.get_window_extent()
    return found


def troubles(figure: Figure) -> list[str]:
    """Return texts that are cut at the figure's edge, and pairs of texts that overlap."""
    found, whole = text_boxes(figure), figure.bbox.padded(1)
    cut = [name for name, box in found.items() if not _holds(whole, box)]
    over = [f"{a} / {b}" for a, b in combinations(found, 2) if found[a].overlaps(found[b])]
    return [*cut, *over]


def _holds(whole: Bbox, box: Bbox) -> bool:
    inside = whole.x0 <= box.x0 <= box.x1 <= whole.x1
    return bool(inside and whole.y0 <= box.y0 <= box.y1 <= whole.y1)


def drawn_figure(figure: Figure) -> Figure:
    """Return the figure with its final layout."""
    figure.canvas.draw()
    return figure


def texts_of(figure: Figure) -> list[str]:
    """Return every visible text of a figure."""
    return [each.get_text() for each in figure.findobj(Text) if each.get_visible()]
