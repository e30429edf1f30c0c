"""Compilation: eager against torch.compile.

``compile`` compiles the whole model at once and ``compile_blocks`` each encoder block; the blocks
share their code and so compile many times faster. A workload of one block only has the latter; on a
CPU the former is measured where it is asked for (``--component model``).
``reduce_overhead`` replays CUDA graphs, ``max_autotune`` also tries several kernels for each matrix
product; both compile the whole model and are only available on CUDA.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import LEVELS, Grid, Measure

GRID = Grid(
    factor="compile",
    component="encoder",
    arms=LEVELS["compile"],
    batch_sizes={"cpu": (1, 8), "cuda": (1, 64)},
)


def bench_compile(comparison: Comparison, measure: Measure) -> None:
    """Time one compile mode against eager."""
    measure(comparison)
