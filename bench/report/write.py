"""Write plots and page of a run; the page alone is drawn in a second process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.files.atomic import write_atomically
from bench.records.errors import InputError

if TYPE_CHECKING:
    from bench.report.plots.canvas import FigureName

# A history of fewer runs has no chart.
_LEAST_RUNS = 3


def write_drawings(results: Any, aim: Any) -> int:
    """Write a run's page and every plot; return the number of plot files."""
    from bench.report.page.document import page
    from bench.report.page.figures import inlined
    from bench.report.plots.run_figures import draw, write_plots

    source = source_of(results)
    drawn = draw(results.records, source, results.plan.delta) + _trend(results.folder.parent)
    _write_page(results.folder, page(results.report_data(aim), inlined(drawn)))
    return len(write_plots(results.folder / "plots", drawn))


@contextmanager
def drawing_beside() -> Iterator[Executor]:
    """Start a process that imports matplotlib while this one reads the run."""
    # A fork starts at once, and no library is loaded yet that a fork would break.
    how = "fork" if "fork" in get_all_start_methods() else None
    with ProcessPoolExecutor(1, mp_context=get_context(how)) as beside:
        beside.submit(import_module, "bench.report.plots.run_figures")
        yield beside


def page_alone(results: Any, aim: Any, beside: Executor) -> Path:
    """Write a run's page, with figures drawn in the second process; return its path."""
    shown = (results.records, source_of(results), results.plan.delta)
    drawings = beside.submit(_drawings, *shown, results.folder.parent)
    # This import takes as long as reading the run.
    from bench.report.page.document import page

    data = results.report_data(aim)
    return _write_page(results.folder, page(data, drawings.result()))


def _drawings(
    records: Sequence[Any], source: str, delta: float, folder: Path
) -> "list[tuple[FigureName, str]]":
    from bench.report.page.figures import FIGURES, inlined
    from bench.report.plots.run_figures import draw

    return inlined(draw(records, source, delta, FIGURES) + _trend(folder))


def _trend(folder: Path) -> "list[tuple[FigureName, Any]]":
    """The chart of the history beside the run's folder, if it has enough runs."""
    from bench.files.history_csv import USUAL_NAME, read

    path = folder / USUAL_NAME
    try:
        points = read(path) if path.exists() else []
    except InputError as error:
        # A broken history does not keep the page from being written.
        click.echo(f"the page has no chart of the history: {error}", err=True)
        return []
    if len({point.run_id for point in points}) < _LEAST_RUNS:
        return []
    import matplotlib as mpl

    from bench.report.plots.canvas import STYLE, FigureName
    from bench.report.trend_chart import trend_figure
    from bench.report.trend_series import by_series, changes_of

    series = by_series(points)
    with mpl.rc_context(STYLE):
        return [(FigureName(kind="trend"), trend_figure(series, changes_of(series), str(path)))]


def _write_page(folder: Path, text: str) -> Path:
    """Write ``report.html`` whole or not at all."""
    path = folder / "report.html"
    write_atomically(path, text)
    return path


def source_of(results: Any) -> str:
    """Return hardware, versions, commit, time and command of a run."""
    from bench.report.provenance import provenance

    plan = results.plan
    own = (plan.commit, plan.has_changes)
    return provenance(results.environment, plan.command, plan.started, *own)
