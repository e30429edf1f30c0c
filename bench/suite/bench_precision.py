"""Precision: fp32 against autocast (bf16, fp16), pure bf16 and, on CUDA, TF32.

``fp32`` is pinned to full float32 products (no TF32) and is the baseline. Training with
``amp_fp16`` scales its gradients, as real training must.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="precision",
    component="encoder",
    arms=LEVELS["precision"],
    batch_sizes={"cpu": (1, 8), "cuda": (1, 64)},
)


def bench_precision(comparison: Comparison, measure: Measure) -> None:
    """Time one precision against fp32."""
    measure(comparison)
