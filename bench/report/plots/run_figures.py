"""All figures of a run, by name: drawn from its records, and written as files."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.records.row import Record
from bench.report.labels import by_factor
from bench.report.plots.canvas import STYLE, FigureName, save
from bench.report.plots.costs import cost_figures
from bench.report.plots.error import error_figure
from bench.report.plots.speed import latency_figure, speedup_figure


def figures(
    records: Sequence[Record], source: str, delta: float, kinds: Collection[str] | None = None
) -> Iterator[tuple[FigureName, Figure]]:
    """Yield name and figure of every plot, or of some kinds, that the records have data for."""
    drawn: dict[FigureName, Callable[[], Figure | None]] = {
        FigureName(kind="speedup", device=rows[0].device, factor=rows[0].factor): partial(
            speedup_figure, rows, source, delta
        )
        for rows in by_factor(records)
    }
    drawn[FigureName(kind="latency")] = partial(latency_figure, records, source)
    drawn[FigureName(kind="error")] = partial(error_figure, records, source)
    drawn |= cost_figures(records, source)
    for name, make in drawn.items():
        if (kinds is None or name.kind in kinds) and (figure := make()):
            yield name, figure


def draw(
    records: Sequence[Record], source: str, delta: float, kinds: Collection[str] | None = None
) -> list[tuple[FigureName, Figure]]:
    """Return every figure, or those of some kinds, with its name, in the suite's style."""
    with mpl.rc_context(STYLE):
        return list(figures(records, source, delta, kinds))


def write_plots(folder: Path, drawn: Sequence[tuple[FigureName, Figure]]) -> list[Path]:
    """Write each figure as PNG and SVG; return the paths."""
    return [path for name, figure in drawn for path in save(folder, str(name), figure)]
