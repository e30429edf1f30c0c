"""Calibrations and simulated runs: tables, a sentence and a figure."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from bench.analysis.simulated_runs import Score
from bench.records.calibration import Kind, Method, Rate
from bench.report.columns import Column, words
from bench.report.labels import grouped
from bench.report.plots.canvas import STYLE, new_figure
from bench.report.tables.layout import add_columns, markdown_table, new_table
from bench.report.units import percent, signed_percent


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


def rates_table(rates: Sequence[Rate]) -> Table:
    """Rich table of every method's rates, a block for each kind of trial."""
    table = new_table("Verdicts of each method on comparisons whose answer is known")
    for heading in ("arms", "method"):
        table.add_column(heading)
    for heading in ("called different", "called slower", "interval holds the truth", "± median"):
        table.add_column(heading, justify="right")
    has_whole = any(map(_of_whole, rates))
    for heading in ("of the whole", "truth") if has_whole else ():
        table.add_column(heading, justify="right")
    for kind, own in grouped(by_kind(rates), lambda rate: rate.kind).items():
        for place, rate in enumerate(own):
            table.add_row(
                kind if place == 0 else "",
                rate.method,
                f"{rate.different} of {rate.trials}",
                f"{rate.slower} of {rate.trials}",
                f"{100 * rate.covered:.0f} %",
                percent(rate.half_width),
                *((_of_whole(rate), _truth_of_whole(rate)) if has_whole else ()),
            )
        table.add_section()
    return table


def by_kind(rates: Sequence[Rate]) -> list[Rate]:
    """Rates by kind of trial; those of one kind keep their order."""
    return sorted(rates, key=lambda rate: list(Kind).index(rate.kind))


def _of_whole(rate: Rate) -> str:
    """What slower arms were found to change of the whole: ``-1.5 % ± 0.4 %``."""
    if rate.of_whole is None or rate.kind.is_equal:
        return ""
    return f"{signed_percent(rate.of_whole)} ± {percent(rate.of_whole_half_width)}"


def _truth_of_whole(rate: Rate) -> str:
    return "" if rate.kind.is_equal else signed_percent(rate.of_whole_truth)


def sentence(rates: Sequence[Rate]) -> str:
    """Return the results of the calibration in one sentence."""
    ours = {rate.kind: rate for rate in rates if rate.method is Method.RUN}
    same = Kind.SAME_STACK if Kind.SAME_STACK in ours else Kind.PLACEBO
    parts = _stacks(ours) if same is Kind.SAME_STACK else _placebos(ours)
    others = [each for each in rates if each.kind is same and each.method is Method.SEQUENTIAL]
    if others:
        parts.append(f"medians of one arm after the other: {_of(others[0])} different")
    return f"On this machine {'; '.join(parts)}."


def _stacks(ours: Mapping[Kind, Rate]) -> list[str]:
    same, *others = by_kind(list(ours.values()))
    slower = " and ".join(f"{_of(rate)} that are {rate.kind}" for rate in others)
    called = f"{_of(same)} comparisons of identical code were called different ({_at_most(same)})"
    return [f"{called}, {slower} were called slower"]


def _placebos(ours: Mapping[Kind, Rate]) -> list[str]:
    kinds = (Kind.PLACEBO, Kind.COPY, Kind.SLOWER, Kind.DIFFERENCE)
    same, copies, slower, pairs = map(ours.get, kinds)
    parts = []
    equal = (
        [f"{_of(same)} placebos, other code of the same work ({_at_most(same)})"] if same else []
    )
    equal += [f"{_of(copies)} identical copies"] if copies else []
    if equal:
        parts.append(f"{_listed(equal)} were called different")
    if slower:
        found, known = _of_whole(slower), _truth_of_whole(slower)
        whole = f", by {found} of the whole where {known} is true" if found else ""
        parts.append(f"{_of(slower)} parts with 5 % more products were called slower{whole}")
    named = {"placebos": same, "copies": copies, "slower parts": slower, "differences": pairs}
    held = [f"{100 * each.covered:.0f} % of {name}" for name, each in named.items() if each]
    parts.append(f"95 % intervals held the truth in {_listed(held)}")
    if pairs and pairs.residual is not None:
        parts.append(f"A/B x B/C and A/C lie {100 * pairs.residual:.2f} % apart")
    return parts


def _at_most(rate: Rate) -> str:
    return f"at most {100 * rate.high:.0f} % with 95 % confidence"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _of(rate: Rate) -> str:
    return f"{rate.counted} of {rate.trials}"


def calibration_figure(rates: Sequence[Rate], source: str) -> Figure:
    """Draw the share called different or slower by each method, a panel for each kind of trial."""
    with mpl.rc_context(STYLE):
        return _figure(rates, source)


def _figure(rates: Sequence[Rate], source: str) -> Figure:
    compared = [rate for rate in by_kind(rates) if rate.kind is not Kind.DIFFERENCE]
    kinds = list(dict.fromkeys(rate.kind for rate in compared))
    methods = list(dict.fromkeys(rate.method for rate in rates))
    title = "How often each method is right about comparisons whose answer is known"
    figure = new_figure(10.5, 1.5 + 0.42 * len(methods), title, source)
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        for rate in (each for each in compared if each.kind is kind):
            _bar(axis, methods.index(rate.method), rate)
        target = "should be 0" if kind.is_equal else "should be 1"
        outcome = "called different" if kind.is_equal else "called slower"
        axis.set_title(f"{kind}:\n{outcome} ({target})", fontsize=9)
        axis.set_xlim(0, _END)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("share, with 95 % bounds")
    axes[0].set_yticks(range(len(methods)), labels=methods)
    return figure


def _bar(axis: Axes, place: int, rate: Rate) -> None:
    share = rate.counted / rate.trials
    colour = _FALSE_COLOUR if rate.kind.is_equal else _FOUND_COLOUR
    axis.barh(place, share, height=0.6, color=colour, alpha=0.75, zorder=2)
    axis.plot([rate.low, rate.high], [place, place], color=_INK, lw=1.2, zorder=3)
    axis.text(_LABELS, place, _of(rate), va="center", fontsize=8, color=_INK)
