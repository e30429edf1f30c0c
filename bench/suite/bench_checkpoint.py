"""Gradient checkpointing: activations kept against activations computed again.

``blocks`` keeps the input of each encoder block alone and runs the block once more in backward
(Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="checkpoint",
    component="encoder",
    arms=("none", "blocks"),
    batch_sizes={"cpu": (1,), "cuda": (8, 64)},
    modes=("train",),
)


def bench_checkpoint(comparison: Comparison, measure: Measure) -> None:
    """Time a training step that computes its activations again."""
    measure(comparison)
