"""A user's own arms, as named on the command line of ``vitbench compare``.

The grid is empty: the comparisons come from the plan of a pass only.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(factor="factory", component="callable", arms=(), batch_sizes={})


def bench_factory(comparison: Comparison, measure: Measure) -> None:
    """Time one arm against the baseline."""
    measure(comparison)
