"""Calibrations and simulated runs: tables, a sentence and a figure."""

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from bench.analysis.simulated_runs import Score
from bench.records.calibration import Method, Rate
from bench.report.columns import Column, words
from bench.report.plots.canvas import STYLE, new_figure
from bench.report.tables.layout import add_columns, markdown_table, new_table
from bench.report.units import percent


def _share(share: float, digits: int) -> str:
    """A share in percent; '' if there was no such comparison."""
    return "" if not math.isfinite(share) else f"{100 * share:.{digits}f}%"


SCORE_COLUMNS: tuple[Column[Score], ...] = (
    words("scenario", lambda score: score.scenario),
    Column(heading="comparisons", text=lambda score: str(score.comparisons)),
    Column(heading="interval holds the truth", text=lambda score: _share(score.coverage, 1)),
    Column(heading="± median", text=lambda score: _share(score.half_width, 2)),
    Column(heading="identical called different", text=lambda score: _share(score.false, 1)),
    Column(heading="5 % found", text=lambda score: _share(score.found_5, 0)),
    Column(heading="2 % found", text=lambda score: _share(score.found_2, 0)),
    Column(heading="Student's t: holds", text=lambda score: _share(score.student_coverage, 1)),
    Column(heading="± median", text=lambda score: _share(score.student_half_width, 2)),
)


def simulated_runs_table(scores: Sequence[Score]) -> Table:
    """Rich table of the scores."""
    table = new_table("Simulated runs: how often intervals and verdicts are right")
    add_columns(table, SCORE_COLUMNS, scores)
    for score in scores:
        table.add_row(*(column.text(score) for column in SCORE_COLUMNS))
    return table


def simulated_runs_markdown(scores: Sequence[Score]) -> str:
    """The scores as Markdown."""
    return "\n".join(markdown_table(SCORE_COLUMNS, scores))


# Position of the counts, right of the bars, and end of the axis.
_LABELS, _END = 1.05, 1.3
_FALSE_COLOUR, _FOUND_COLOUR, _INK = "#D55E00", "#009E73", "#333333"


def kind(truth: float) -> str:
    """Name of a kind of trial: ``identical arms``, ``5 % slower``."""
    return "identical arms" if truth == 1 else f"{100 * (1 / truth - 1):.0f} % slower"


def count(rate: Rate) -> int:
    """Comparisons that were called different (identical arms) or slower (others)."""
    return rate.different if rate.truth == 1 else rate.slower


def rates_table(rates: Sequence[Rate]) -> Table:
    """Rich table of every method's rates, a block for each kind of trial."""
    table = new_table("Verdicts of each method on comparisons whose answer is known")
    for heading in ("truth", "method"):
        table.add_column(heading)
    for heading in ("called different", "called slower", "interval holds the truth", "± median"):
        table.add_column(heading, justify="right")
    for truth in sorted({rate.truth for rate in rates}, reverse=True):
        for place, rate in enumerate(each for each in rates if each.truth == truth):
            table.add_row(
                kind(truth) if place == 0 else "",
                rate.method,
                f"{rate.different} of {rate.trials}",
                f"{rate.slower} of {rate.trials}",
                f"{100 * rate.covered:.0f} %",
                percent(rate.half_width),
            )
        table.add_section()
    return table


def sentence(rates: Sequence[Rate]) -> str:
    """Return the results of the calibration in one sentence."""
    ours = [rate for rate in rates if rate.method is Method.RUN]
    same = next(rate for rate in ours if rate.truth == 1)
    slower = [f"{rate.slower} of {rate.trials} that are {kind(rate.truth)}" for rate in ours[1:]]
    others = [each for each in rates if each.truth == 1 and each.method is Method.SEQUENTIAL]
    beside = f"; medians of one arm after the other: {_of(others[0])} different" if others else ""
    return (
        f"On this machine {_of(same)} comparisons of identical code were called different (at most "
        f"{100 * same.high:.0f} % with 95 % confidence), {' and '.join(slower)} were called slower"
        f"{beside}."
    )


def _of(rate: Rate) -> str:
    return f"{count(rate)} of {rate.trials}"


def calibration_figure(rates: Sequence[Rate], source: str) -> Figure:
    """Draw the share called different or slower by each method, a panel for each kind of trial."""
    with mpl.rc_context(STYLE):
        return _figure(rates, source)


def _figure(rates: Sequence[Rate], source: str) -> Figure:
    truths = sorted({rate.truth for rate in rates}, reverse=True)
    methods = list(dict.fromkeys(rate.method for rate in rates))
    title = "How often each method is right about comparisons whose answer is known"
    figure = new_figure(10.5, 1.5 + 0.42 * len(methods), title, source)
    axes = figure.subplots(1, len(truths), squeeze=False, sharey=True)[0]
    for axis, truth in zip(axes, truths, strict=True):
        for rate in (each for each in rates if each.truth == truth):
            _bar(axis, methods.index(rate.method), rate)
        target = "should be 0" if truth == 1 else "should be 1"
        outcome = "called different" if truth == 1 else "called slower"
        axis.set_title(f"{kind(truth)}:\n{outcome} ({target})", fontsize=9)
        axis.set_xlim(0, _END)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("share, with 95 % bounds")
    axes[0].set_yticks(range(len(methods)), labels=methods)
    return figure


def _bar(axis: Axes, place: int, rate: Rate) -> None:
    share = count(rate) / rate.trials
    colour = _FALSE_COLOUR if rate.truth == 1 else _FOUND_COLOUR
    axis.barh(place, share, height=0.6, color=colour, alpha=0.75, zorder=2)
    axis.plot([rate.low, rate.high], [place, place], color=_INK, lw=1.2, zorder=3)
    label = f"{count(rate)} of {rate.trials}"
    axis.text(_LABELS, place, label, va="center", fontsize=8, color=_INK)
