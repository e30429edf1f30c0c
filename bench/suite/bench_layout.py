"""Memory layout of images: contiguous channels against channels last.

Measured only with ``--factors layout``: in a ViT only the patch convolution could gain.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="layout",
    component="patcher",
    arms=LEVELS["layout"],
    batch_sizes={"cpu": (1,), "cuda": (1, 64)},
)


def bench_layout(comparison: Comparison, measure: Measure) -> None:
    """Time the patch convolution on images of one layout."""
    measure(comparison)
