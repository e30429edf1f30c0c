"""Optimizers: AdamW as torch chooses it against its loop, foreach and fused forms, and SGD.

``adamw_foreach`` trades memory for time: it keeps a copy of a parameter group while it steps.
``sgd`` has momentum, and half of AdamW's state.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="optimizer",
    component="encoder",
    arms=("adamw", "adamw_loop", "adamw_foreach", "adamw_fused", "sgd"),
    batch_sizes={"cpu": (1,), "cuda": (8,)},
    modes=("train",),
)


def bench_optimizer(comparison: Comparison, measure: Measure) -> None:
    """Time a training step with one optimizer against torch's own choice of AdamW."""
    measure(comparison)
