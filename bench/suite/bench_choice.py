"""The combination that a run chose by its own verdicts, as a whole, against the plain arm.

The plain arm has the baseline of every factor. The comparisons are not known before the run, so
they come from the plan of a pass only.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(factor="choice", component="encoder", arms=(), batch_sizes={})


def bench_choice(comparison: Comparison, measure: Measure) -> None:
    """Time the chosen combination against the plain arm."""
    measure(comparison)
