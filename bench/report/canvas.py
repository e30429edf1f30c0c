"""What all figures share: style, title, a line on hardware and versions, and being saved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "vitbench",
    # A name may have a dollar, which begins no formula.
    "text.parse_math": False,
}
# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = "osD^vP"
# Narrower, and the line on hardware and versions would be cut.
_LEAST_INCH = 8.0
# Longer labels would leave no room beside them.
MOST_SIGNS = 48


def new_figure(width: float, height: float, title: str, source: str) -> Figure:
    """Make an empty figure of so many inches, titled, with its source below."""
    figure = Figure(figsize=(max(width, _LEAST_INCH), height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    figure.supxlabel(source, x=0.01, ha="left", fontsize=6.5, color="#555555")
    return figure


def save(folder: Path, name: str, figure: Figure) -> list[Path]:
    """Write one figure as PNG and SVG; the paths written."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with mpl.rc_context(STYLE):
        for path in paths:
            # The same figure is the same file, whenever it is drawn.
            undated = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=150, metadata=undated)
    return paths


def shortened(text: str, most: int = MOST_SIGNS) -> str:
    """A label that leaves room for the plot: of a long one its beginning and its end."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"


def arm_mark(arms: Sequence[str], arm: str) -> Line2D:
    """The colour and marker of one of several arms, for a legend or a point."""
    place = arms.index(arm)
    colour, marker = COLOURS[place % 6], MARKERS[place % 6]
    return Line2D([], [], color=colour, marker=marker, lw=0, label=shortened(arm))
