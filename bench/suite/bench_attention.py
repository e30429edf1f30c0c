"""Attention: nn.MultiheadAttention against handwritten attention.

``mha`` calls nn.MultiheadAttention with ``need_weights=False`` and is the baseline;
``mha_weights`` uses the default, ``need_weights=True``; ``manual`` is matmul, softmax, matmul;
``sdpa`` is F.scaled_dot_product_attention.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="attention",
    component="attention",
    arms=LEVELS["attention"],
    batch_sizes={"cpu": (1, 8), "cuda": (1, 8, 64)},
)


def bench_attention(comparison: Comparison, measure: Measure) -> None:
    """Time one attention against the baseline."""
    measure(comparison)
