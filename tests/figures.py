"""Rows to draw, and where the labels of a drawn figure stand."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from bench.record import VERDICTS, Record
from makers import make_record

Draw = Callable[[Sequence[Record], str], Figure | None]
SOURCE = "AMD EPYC 7B13, 2 threads; torch 2.9.0; commit 0123456789; run 20260102-030405"
LEVELS = {
    "attention": ("mha", "mha_weights", "manual", "sdpa"),
    "precision": ("fp32", "amp_bf16", "bf16"),
}


def level(factor: str, place: int, speedup: float, **changes: Any) -> Record:
    """Row of one level of a factor."""
    name, times_ms = LEVELS[factor][place], np.array([12, 11.5, 12.5]) / speedup
    numbers: dict[str, Any] = dict(
        zip(("latency_ms", "latency_low_ms", "latency_high_ms"), times_ms.tolist(), strict=True)
    )
    numbers |= {"speedup": speedup, "speedup_low": 0.97 * speedup, "speedup_high": 1.03 * speedup}
    numbers |= {"verdict": VERDICTS[place], "output_error": 1e-7 * 10**place}
    arms = {"factor": factor, "baseline": LEVELS[factor][0], "arm": name}
    return make_record(**arms, **numbers, **changes)


def drawn(draw: Draw, records: Sequence[Record]) -> Figure:
    """Figure with everything in its final place."""
    figure = draw(records, SOURCE)
    assert figure is not None
    figure.canvas.draw()
    return figure


def on(figure: Figure) -> list[Axes]:
    """Panels that show something."""
    return [axis for axis in figure.axes if axis.axison]


def boxes(axis: Axis) -> list[Bbox]:
    """Where the labels of an axis stand; matplotlib keeps others beyond the limits, undrawn."""
    (low, high), along = sorted(axis.get_view_interval()), int(isinstance(axis, YAxis))
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [
        label.get_window_extent() for label in labels if low <= label.get_position()[along] <= high
    ]


def lie_apart(labels: Sequence[Bbox]) -> bool:
    """Whether no two neighbours overlap."""
    return not any(one.overlaps(other) for one, other in pairwise(labels))
