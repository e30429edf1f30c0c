"""Style, axes, title, provenance line and files: what all figures share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.records.row import Record

# Share of a logarithmic axis that a label needs.
LABEL_ROOM = 0.09
# An interval is cut beyond this multiple of its value.
WIDEST = 1.5
DECADES = tuple(
    tuple(m * 10.0**e for e in range(-4, 7) for m in steps)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8))
)
RATIOS = (*DECADES[:3], *(tuple(n / d for n in range(d // 3, 3 * d)) for d in (10, 20, 50)))
# Sizes in bytes: 1 KiB to 1 PiB, every power of 2, 4, 8, 16 …
BINARY = tuple(tuple(2.0**e for e in range(10, 51, step)) for step in range(1, 9))
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "vitbench",
    # A dollar in a name begins no formula.
    "text.parse_math": False,
}
# Okabe and Ito's colours, distinct for colour-blind readers too.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = "osD^vP"
# The provenance line needs this width.
_LEAST_INCH = 8.0
# Longer labels would leave no room for the plot.
MOST_SIGNS = 48


@dataclass(frozen=True, kw_only=True)
class FigureName:
    """Name of a figure of a run: its kind, and the device and factor of its rows, if one."""

    kind: str
    device: str = ""
    factor: str = ""

    def __str__(self) -> str:
        """Name of its files: ``speedup-cpu-patcher``."""
        return "-".join(filter(None, (self.kind, self.device, self.factor)))


def ticks(
    ladders: Sequence[Sequence[float]], low: float, high: float, room: float = LABEL_ROOM
) -> list[float]:
    """Return the ticks of the finest ladder whose labels fit side by side."""
    apart = room * math.log(high / low)
    inside = [[step for step in ladder if low <= step <= high] for ladder in ladders]
    fitting = (each for each in inside if all(math.log(b / a) >= apart for a, b in pairwise(each)))
    return max(fitting, key=len, default=[])


def ratio_range(records: Sequence[Record]) -> tuple[float, float]:
    """Return the ends of an axis of speed-ups: for every value, and intervals up to WIDEST."""
    values = [record.speedup or 1.0 for record in records]
    lows = [max(r.speedup_low or 1.0, (r.speedup or 1.0) / WIDEST) for r in records]
    highs = [min(r.speedup_high or 1.0, (r.speedup or 1.0) * WIDEST) for r in records]
    return min(0.95, *values, *lows) * 0.96, max(1.05, *values, *highs) * 1.04


def new_figure(width: float, height: float, title: str, source: str) -> Figure:
    """Make an empty figure, ``width`` by ``height`` inches, with its title and its source."""
    figure = Figure(figsize=(max(width, _LEAST_INCH), height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    figure.supxlabel(source, x=0.01, ha="left", fontsize=6.5, color="#555555")
    return figure


def save(folder: Path, name: str, figure: Figure) -> list[Path]:
    """Write one figure as PNG and SVG; return the paths."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with mpl.rc_context(STYLE):
        for path in paths:
            # Without a date equal figures are equal files.
            undated = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=150, metadata=undated)
    return paths


def shortened(text: str, most: int = MOST_SIGNS) -> str:
    """A label of at most ``most`` characters: the middle of a longer one is left out."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"


def arm_mark(arms: Sequence[str], arm: str) -> Line2D:
    """Return the colour and marker of one of several arms, for a legend or a point."""
    place = arms.index(arm)
    colour, marker = COLOURS[place % 6], MARKERS[place % 6]
    return Line2D([], [], color=colour, marker=marker, lw=0, label=shortened(arm))


def divide(axis: Axes, records: Sequence[Record]) -> None:
    """Draw a line between the rows of two workloads; each record has a row, from the top."""
    for place, (one, other) in enumerate(pairwise(records)):
        if one.workload.name != other.workload.name:
            axis.axhline(place + 0.5, color="#cccccc", lw=0.6)
    axis.grid(visible=False, axis="y")
