"""Figures of the page: headings, captions, findings in words, and inline SVG."""

import io
import re
from collections.abc import Callable, Iterator, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.records.row import Record
from bench.report.columns import ROW_COLUMNS
from bench.report.labels import arm_name, by_factor, factor_name, workload
from bench.report.plots.canvas import STYLE, FigureName
from bench.report.units import bounds, counted, pays_off, scientific, times

_MOST = 6
# Colours of matplotlib that follow the page, light or dark.
_THEMED = {
    "#000000": "var(--fg)",
    "#ffffff": "var(--bg)",
    "#555555": "var(--soft)",
    "#cccccc": "var(--line)",
    "#b0b0b0": "var(--line)",
}
_NAME = re.compile(r'(\bid="|url\(#|href="#)')
_COLOUR = re.compile("|".join(_THEMED))
# Text as text can be searched, copied and read aloud, and takes a tenth of the bytes.
_AS_TEXT = {**STYLE, "svg.fonttype": "none"}
# Headings by kind of figure, in the order of the page.
HEADINGS = {
    "speedup": "Verdicts",
    "latency": "Latency and throughput",
    "error": "Speed against numeric error",
    "memory": "Memory",
    "roofline": "Roofline",
    "compile": "When compiling pays off",
    "trend": "History",
}
# Kinds that the page shows as figures; the others are tables (``bench.report.page.forest``).
FIGURES = ("error", "roofline", "compile", "trend")
CAPTIONS = {
    "speedup": "Right of ×1 is faster than the baseline. Lines are 95 % intervals over processes, "
    "the band holds differences too small to matter, hollow marks are the baseline against its own "
    "copy.",
    "latency": "Time of one call, which is one batch, with its 95 % interval over processes.",
    "error": "Relative error of the output against float64, and speed-up over the baseline. No arm "
    "is better in both than an arm on a line.",
    "memory": "Peak of live tensors in one call (● measured, ○ predicted), and of the whole "
    "process (|).",
    "roofline": "Operations per second against operations per byte, below the limits measured on "
    "this machine in the same run. The share of the limit in the table comes from alternating "
    "pairs, so that other load cancels.",
    "compile": "Total time against images processed: the first call costs more, and compiling "
    "has paid off where the lines cross.",
    "trend": "Time of each arm as a multiple of the yardstick's or, where that is steadier, its "
    "baseline's, run by run, at the level of the commonest kind of machine, a marker for each. "
    "Lasting changes are marked with their size; the 95 % range of runs in which each began is "
    "shaded.",
}


def finding(name: FigureName, records: Sequence[Record]) -> str:
    """Return the finding of the figure of this name, from a run's rows; '' if there is none."""
    find = _FINDINGS.get(name.kind)
    shown = [record for record in records if name.device in ("", record.device)]
    return " ".join(find(shown)) if find else ""


def _errors(records: Sequence[Record]) -> Iterator[str]:
    """Yield the fastest arm of each factor, with its error."""
    for rows in by_factor(records):
        shown = [r for r in rows if r.speedup is not None and r.output_error and not r.is_control]
        if shown:
            best = max(shown, key=lambda record: record.speedup or 0.0)
            interval = bounds(best.speedup_low, best.speedup_high) or "no interval"
            yield (
                f"{factor_name(best).capitalize()}: at most {times(best.speedup)} ({interval}), by "
                f"{arm_name(best)} of {workload(best)}, with an error of "
                f"{scientific(best.output_error)}."
            )


def _limits(records: Sequence[Record]) -> Iterator[str]:
    """Yield the arms nearest to their limit and farthest below."""
    shown = sorted((r for r in records if r.limit_share), key=lambda r: r.limit_share or 0.0)
    if not shown:
        return
    yield f"{counted(len(shown), 'arm')}."
    for what, record in (("Nearest to", shown[-1]), ("Farthest below", shown[0])):
        share = ROW_COLUMNS["of limit"].cell(record)
        yield f"{what} its limit: {arm_name(record)} of {workload(record)}, {share}."


def _compiling(records: Sequence[Record]) -> Iterator[str]:
    """Yield the number of images after which each way of compiling has paid off."""
    shown = [record for record in records if record.break_even_images is not None]
    for record in shown[:_MOST]:
        yield f"{arm_name(record)} of {workload(record)} {pays_off(record.break_even_images)}."
    if shown[_MOST:]:
        yield f"{counted(len(shown) - _MOST, 'more case')} in the table of all rows."


_FINDINGS: dict[str, Callable[[Sequence[Record]], Iterator[str]]] = {
    "error": _errors,
    "roofline": _limits,
    "compile": _compiling,
}


def inlined(drawn: Sequence[tuple[FigureName, Figure]]) -> list[tuple[FigureName, str]]:
    """Return name and SVG element of each figure that the page shows."""
    return [(name, inline_svg(figure, str(name))) for name, figure in drawn if name.kind in FIGURES]


def inline_svg(figure: Figure, name: str) -> str:
    """Return the SVG element of a figure, in the page's colours.

    ``name`` is prefixed to every id inside, since a page has several figures.
    """
    file = io.StringIO()
    with mpl.rc_context(_AS_TEXT):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _NAME.sub(rf"\g<1>{name}-", text)
    text = _COLOUR.sub(lambda found: _THEMED[found[0]], text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def heading(name: FigureName) -> str:
    """Return a figure's heading: ``Verdicts, cpu patcher``."""
    rows = " ".join(filter(None, (name.device, name.factor)))
    return f"{HEADINGS[name.kind]}, {rows}" if rows else HEADINGS[name.kind]


def caption(kind: str) -> str:
    """Return how to read a figure."""
    return CAPTIONS[kind]
