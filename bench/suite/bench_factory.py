"""A user's own arms, as ``vitbench compare`` names them: there is nothing to choose from here.

Its comparisons come from the plan of a pass alone.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(factor="factory", component="callable", arms=(), batch_sizes={})


def bench_factory(comparison: Comparison, measure: Measure) -> None:
    """Time one arm against the baseline."""
    measure(comparison)
