"""Words for every figure: under which heading it stands, and how to read it."""

import io
import re
from collections.abc import Callable, Iterator, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.records.row import Record
from bench.report.labels import arm_name, by_factor, factor_name, workload
from bench.report.plots.canvas import STYLE, figure_kind
from bench.report.units import bounds, counted, images, percent, scientific, times

_MOST = 6


def finding(name: str, records: Sequence[Record]) -> str:
    """What the figure of this name shows of a run's rows; nothing of what they do not hold."""
    find = _FINDINGS.get(figure_kind(name))
    device = name.partition("-")[2]
    shown = [record for record in records if device in ("", record.device)]
    return " ".join(find(shown)) if find else ""


def _errors(records: Sequence[Record]) -> Iterator[str]:
    """The fastest arm of each factor, and what it costs in accuracy."""
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
    """Which arms come nearest to what the machine can do, and which stay farthest below."""
    shown = sorted((r for r in records if r.limit_share), key=lambda r: r.limit_share or 0.0)
    if not shown:
        return
    yield f"{counted(len(shown), 'arm')}."
    for what, record in (("Nearest to", shown[-1]), ("Farthest below", shown[0])):
        share = percent(record.limit_share, most=10)
        yield f"{what} its limit: {arm_name(record)} of {workload(record)}, {share}."


def _compiling(records: Sequence[Record]) -> Iterator[str]:
    """After how many images each way of compiling has paid off."""
    shown = [record for record in records if record.break_even_images is not None]
    for record in shown[:_MOST]:
        after = images(record.break_even_images)
        said = "never pays off" if after == "never" else f"pays off after {after} images"
        yield f"{arm_name(record)} of {workload(record)} {said}."
    if shown[_MOST:]:
        yield f"{counted(len(shown) - _MOST, 'more case')} in the table of all rows."


_FINDINGS: dict[str, Callable[[Sequence[Record]], Iterator[str]]] = {
    "error": _errors,
    "roofline": _limits,
    "compile": _compiling,
}


# What matplotlib draws in these is the page's own text and ground, light or dark.
_THEMED = {
    "#000000": "var(--fg)",
    "#ffffff": "var(--bg)",
    "#555555": "var(--soft)",
    "#cccccc": "var(--line)",
    "#b0b0b0": "var(--line)",
}
_NAME = re.compile(r'(\bid="|url\(#|href="#)')
_COLOUR = re.compile("|".join(_THEMED))
# Text stays text: it can be searched, copied and read aloud, and takes a tenth of the room.
_AS_TEXT = {**STYLE, "svg.fonttype": "none"}


def inlined(drawn: Sequence[tuple[str, Figure]]) -> list[tuple[str, str]]:
    """The SVG elements of those figures that the page shows, by their names."""
    return [
        (name, inline_svg(figure, name)) for name, figure in drawn if figure_kind(name) in FIGURES
    ]


def inline_svg(figure: Figure, name: str) -> str:
    """The SVG element of a figure, for a page that has ``--fg``, ``--bg``, ``--soft``, ``--line``.

    ``name`` goes before every name inside, since a page has several figures.
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


# Kinds of figures in the order of the page; the first word of a figure's name.
HEADINGS = {
    "speedup": "Verdicts",
    "latency": "Latency and throughput",
    "error": "Speed against numeric error",
    "memory": "Memory",
    "roofline": "Roofline",
    "compile": "When compiling pays off",
    "trend": "History",
}
# Those that the page shows as figures; the other kinds' rows themselves stand there.
FIGURES = ("error", "roofline", "compile", "trend")
_CAPTIONS = {
    "speedup": "Right of ×1 is faster than the baseline. Lines are 95 % intervals over processes, "
    "the band is what is too little to choose by, hollow marks are the baseline against its own "
    "copy.",
    "latency": "Time of one call, which is one batch, with its 95 % interval over processes.",
    "error": "Relative error of the output against float64, and speed-up over the baseline. Arms "
    "on a line are beaten by no other in both.",
    "memory": "Peak of live tensors in one call (● measured, ○ predicted), and of the whole "
    "process (|).",
    "roofline": "Operations a second against operations per byte, below what this machine was "
    "seen to reach in the same run. The share of the limit in the table comes from alternating "
    "pairs, so that it is free of what the machine did meanwhile.",
    "compile": "Total time against images processed: what compiling costs first, and after how "
    "many images it has paid off.",
    "trend": "Time of each arm as a multiple of the yardstick's, run by run; lasting changes are "
    "marked with their size, and the runs among which they lie with 95 % confidence are shaded.",
}


def heading(name: str) -> str:
    """Short name of a figure: ``Verdicts, cpu patcher``."""
    first, _, rest = name.partition("-")
    return f"{HEADINGS[first]}, {rest.replace('-', ' ')}" if rest else HEADINGS[first]


def caption(name: str) -> str:
    """How to read a figure."""
    return _CAPTIONS[figure_kind(name)]
