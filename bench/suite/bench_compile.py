"""Compilation: eager against torch.compile.

``compile`` compiles the whole model at once and ``compile_blocks`` each encoder block, which
share their code and so compile many times faster. A workload of one block knows the latter only.
``reduce_overhead`` replays CUDA graphs, ``max_autotune`` also tries several kernels for each
product: both of the whole model, and on CUDA alone.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Grid, Measure

GRID = Grid(
    factor="compile",
    component="encoder",
    arms=("eager", "compile", "compile_blocks", "reduce_overhead", "max_autotune"),
    batch_sizes={"cpu": (1,), "cuda": (1, 64)},
)


def bench_compile(comparison: Comparison, measure: Measure) -> None:
    """Time one compile mode against eager."""
    measure(comparison)
