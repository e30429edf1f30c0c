"""The simulated runs in a table."""

import math
from collections.abc import Sequence

from rich.table import Table

from bench.analysis.simulation import Score

HEADINGS = (
    "scenario",
    "comparisons",
    "interval holds the truth",
    "± median",
    "identical called different",
    "5 % found",
    "2 % found",
    "Student's t: holds",
    "± median",
)


def cells(score: Score) -> tuple[str, ...]:
    """A score's cells, under HEADINGS."""
    return (
        score.scenario,
        str(score.comparisons),
        f"{score.coverage:.1%}",
        _share(score.half_width, 2),
        _share(score.false, 1),
        _share(score.found_5, 0),
        _share(score.found_2, 0),
        f"{score.student_coverage:.1%}",
        _share(score.student_half_width, 2),
    )


def _share(share: float, digits: int) -> str:
    """A share in percent; nothing where no comparison was of the kind."""
    return "" if not math.isfinite(share) else f"{100 * share:.{digits}f}%"


def table(scores: Sequence[Score]) -> Table:
    """Rich table of the scores."""
    found = Table(title="Simulated runs: do intervals and verdicts keep their word?")
    for place, heading in enumerate(HEADINGS):
        found.add_column(heading, justify="right" if place else "left")
    for score in scores:
        found.add_row(*cells(score))
    return found


def as_markdown(scores: Sequence[Score]) -> str:
    """The scores as Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(cells(score))} |" for score in scores)])
