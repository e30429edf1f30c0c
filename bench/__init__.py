"""Measure the ways to compute a Vision Transformer and say which to choose.

``bench.compare(baseline, candidate, inputs=(x,))`` compares two callables in this process; the
command line, ``vitbench`` or ``python -m bench``, does everything else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import compare

__all__ = ["compare"]


def __getattr__(name: str) -> Any:
    """Load ``compare`` where it is first used: it needs torch, which takes seconds."""
    if name != "compare":
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    from bench.api import compare as found

    return found
