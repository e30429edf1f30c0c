"""Gradient checkpointing: activations stored against activations recomputed.

``blocks`` stores only the input of each encoder block and runs the block again in the backward pass
(Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="checkpoint",
    component="encoder",
    arms=LEVELS["checkpoint"],
    batch_sizes={"cpu": (1,), "cuda": (8, 64)},
    modes=("train",),
)


def bench_checkpoint(comparison: Comparison, measure: Measure) -> None:
    """Time a training step that recomputes its activations."""
    measure(comparison)
