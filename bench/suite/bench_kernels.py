"""Attention kernels: PyTorch's own choice against each kernel that can be pinned.

Measured only with ``--factors kernel``: scaled_dot_product_attention chooses well in most cases,
and the column ``kernels`` shows its choice.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="kernel",
    component="attention",
    arms=("auto", "flash", "efficient", "cudnn", "math"),
    batch_sizes={"cpu": (1,), "cuda": (1, 64)},
    # Flash and cuDNN attention on CUDA do not support float32.
    levels={
        "cpu": {"attention": "sdpa"},
        "cuda": {"attention": "sdpa", "precision": "bf16"},
    },
)


def bench_kernel(comparison: Comparison, measure: Measure) -> None:
    """Time attention pinned to one kernel."""
    measure(comparison)
