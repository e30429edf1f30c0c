"""Count the graph breaks and recompilations of an arm.

TorchDynamo alone captures the graphs, on fake tensors, with a backend that does not compile:
seconds instead of minutes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule

from bench.arms.building import build_module, random_inputs
from bench.records.arm_costs import Graphs
from bench.records.comparison import Arm, Workload

# Batch sizes of serving: each new, then a repeated one.
_BATCHES = (1, 2, 8, 1)


class _Counting:
    """A backend that runs graphs uncompiled, and counts the graphs captured and run."""

    def __init__(self) -> None:
        self.made = self.run = 0

    def __call__(self, graph: GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        """Return a callable for a captured graph."""
        del inputs
        self.made += 1

        def call(*args: Any) -> Any:
            self.run += 1
            return graph.forward(*args)

        return call


def graphs_of(arm: Arm, workload: Workload) -> Graphs:
    """Return breaks and recompiles of the arm's forward pass over batches of 1, 2, 8, 1 images.

    Each graph that a call runs beyond one per compiled part is a break; the maximum over the
    calls counts.
    """
    run, made, counting = [], [], _Counting()
    # Imports SymPy, which takes longer than the survey of most arms.
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    with _fresh_compiler(), FakeTensorMode(shape_env=ShapeEnv()), torch.inference_mode():
        module = build_module(arm, workload).eval()
        is_regional = arm.compile == "compile_blocks"
        parts = getattr(module, "blocks", [module]) if is_regional else [module]
        for part in parts:
            part.compile(backend=counting)
        for batch_size in _BATCHES:
            counting.run = 0
            module(random_inputs(replace(workload, batch_size=batch_size)).to(workload.device))
            run.append(counting.run)
            made.append(counting.made)
    return Graphs(breaks=max(run) - len(parts), recompiles=made[-1] - made[0])


@contextmanager
def _fresh_compiler() -> Iterator[None]:
    """Clear the compiler's caches before and after."""
    torch.compiler.reset()
    try:
        yield
    finally:
        torch.compiler.reset()
