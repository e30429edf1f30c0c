"""Layout of images in memory: channel by channel against pixel by pixel (channels last).

Measured only where it is asked for, by ``--factors layout``: of a ViT the convolution that makes
patches is all that could gain.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="layout",
    component="patcher",
    arms=("contiguous", "channels_last"),
    batch_sizes={"cpu": (1,), "cuda": (1, 64)},
)


def bench_layout(comparison: Comparison, measure: Measure) -> None:
    """Time a convolution on images of one layout."""
    measure(comparison)
