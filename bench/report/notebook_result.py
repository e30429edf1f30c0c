"""Result of ``bench.compare``, with text and HTML displays and as a data frame."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.records.row import Record
from bench.report.columns import chosen
from bench.report.frames import frame_of

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = chosen(
    "arm",
    "baseline",
    "inputs",
    "status",
    "speed-up",
    "95 % interval",
    "verdict",
    "detectable effect",
    "latency",
    "numeric error",
    "rounds",
)
_HEADING_WIDTH = max(len(column.heading) for column in _COLUMNS)


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparisonResult(Record):
    """A row of results with text and HTML displays; ``limits`` restrict what it shows."""

    limits: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """Texts to show, by their headings; a missing value is ''."""
        return {column.heading: column.text(self) for column in _COLUMNS}

    def __repr__(self) -> str:
        facts = [(name, value) for name, value in self.facts().items() if value]
        notes = [("limits", each) for each in self.limits]
        return "\n".join(f"{name:>{_HEADING_WIDTH}}  {text}" for name, text in [*facts, *notes])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self.facts().items()
            if value
        )
        notes = "".join(f"<li>{html.escape(each)}</li>" for each in self.limits)
        return f"<table>{cells}</table><p>Limits:</p><ul>{notes}</ul>"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with the columns of ``results.csv``; a missing value is ``pandas.NA``."""
        return frame_of([self], Record)
