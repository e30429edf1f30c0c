"""A figure as SVG inside a page: its colours follow the page's, its names are its own."""

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.report.canvas import STYLE
from bench.report.captions import FIGURES, kind

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
    return [(name, inline_svg(figure, name)) for name, figure in drawn if kind(name) in FIGURES]


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
