"""Attention kernels: what PyTorch chooses by itself against each that can be pinned.

Measured only where it is asked for, by ``--factors kernel``: scaled_dot_product_attention chooses
well in most cases, and its choice stands in the column ``kernels``.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="kernel",
    component="attention",
    arms=("auto", "flash", "efficient", "cudnn", "math"),
    batch_sizes={"cpu": (1,), "cuda": (1, 64)},
    # Flash and cuDNN attention on CUDA know no float32.
    levels={"cuda": {"precision": "bf16"}},
)


def bench_kernel(comparison: Comparison, measure: Measure) -> None:
    """Time attention held to one kernel."""
    measure(comparison)
