"""Optimizers: torch's default AdamW against its loop, foreach and fused forms, and SGD.

``adamw_foreach`` trades memory for time: it holds a copy of a parameter group during the step.
``sgd`` has momentum, and half of AdamW's state.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="optimizer",
    component="encoder",
    arms=LEVELS["optimizer"],
    batch_sizes={"cpu": (1,), "cuda": (8,)},
    modes=("train",),
)


def bench_optimizer(comparison: Comparison, measure: Measure) -> None:
    """Time a training step with one optimizer against torch's default AdamW."""
    measure(comparison)
