"""Patchers: three ways to cut an image into tokens.

``conv`` is the usual one and the baseline, so it comes first; ``unfold`` (nn.Unfold and nn.Linear)
and ``linear`` (a reshape and nn.Linear) compute the same function with the same weights.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="patcher",
    component="patcher",
    arms=("conv", "unfold", "linear"),
    batch_sizes={"cpu": (1, 8), "cuda": (1, 8, 64)},
)


def bench_patcher(comparison: Comparison, measure: Measure) -> None:
    """Time one patcher against the baseline."""
    measure(comparison)
