"""Measure implementations of Vision Transformers and decide which to choose.

``bench.compare(baseline, candidate, inputs=(x,))`` compares two callables in this process.
``bench.read_run("results/RUN")`` and ``bench.read_history("results/history.csv")`` return
results of runs as a pandas.DataFrame. The command line is ``vitbench`` or ``python -m bench``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import compare
    from bench.runs.readers import read_history, read_run

__all__ = ["compare", "read_history", "read_run"]

_MODULES = {
    "compare": "bench.api",
    "read_history": "bench.runs.readers",
    "read_run": "bench.runs.readers",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: torch takes seconds, pandas half a second."""
    if name not in _MODULES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
