"""A comparison that shows itself: as text, as HTML in a notebook, and as a data frame."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.records.row import Record
from bench.report.frames import frame_of
from bench.report.units import bounds, milliseconds, percent, scientific, times

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class Compared(Record):
    """A row of results that shows itself; ``leaves_open`` says what one process cannot tell."""

    leaves_open: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """What to read, under its headings."""
        return {
            "arm": self.arm,
            "baseline": self.baseline,
            "inputs": self.inputs or "",
            "status": self.status + (f": {self.error}" if self.error else ""),
            "speed-up": times(self.speedup),
            "95 % interval": bounds(self.speedup_low, self.speedup_high),
            "verdict": self.verdict or "",
            "could see": percent(self.detectable_effect),
            "latency": milliseconds(self.latency_ms),
            "numeric error": scientific(self.output_error),
            "pairs": str(self.rounds),
        }

    def __repr__(self) -> str:
        facts = [f"{name:>14}  {value}" for name, value in self.facts().items() if value]
        return "\n".join([*facts, *(f"{'leaves open':>14}  {each}" for each in self.leaves_open)])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self.facts().items()
            if value
        )
        notes = "".join(f"<li>{html.escape(each)}</li>" for each in self.leaves_open)
        return f"<table>{cells}</table><p>Left open:</p><ul>{notes}</ul>"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with the columns of ``results.csv``; a missing value is ``pandas.NA``."""
        return frame_of([self], Record)
