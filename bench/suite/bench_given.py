"""Comparisons that only a plan names: users' own arms, and the combinations that a run chose.

There is no grid: which arms these are is not known before the plan of a pass. Chosen combinations
are measured as a whole, against the default arm, which has the baseline of every factor.
"""

from bench.records.comparison import Comparison
from bench.suite.grid import Measure


def bench_given(comparison: Comparison, measure: Measure) -> None:
    """Time one arm against its baseline."""
    measure(comparison)
