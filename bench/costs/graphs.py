"""What the compiler makes of an arm: where its graph breaks, and how often it starts again.

Told by TorchDynamo alone, on shapes, with a backend that compiles nothing: seconds instead of
minutes.
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

# What serving brings: another batch than the last, and then one that was there before.
_BATCHES = (1, 2, 8, 1)


class _Counting:
    """A backend that runs graphs as they are, and counts how many are made, and run."""

    def __init__(self) -> None:
        self.made = self.run = 0

    def __call__(self, graph: GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        """Take a graph."""
        del inputs
        self.made += 1

        def call(*args: Any) -> Any:
            self.run += 1
            return graph.forward(*args)

        return call


def graphs_of(arm: Arm, workload: Workload) -> Graphs:
    """Breaks and recompiles of the arm's forward pass over batches of 1, 2, 8 and 1 images.

    Each graph that a call runs beyond one for each compiled part is a break; the most count.
    """
    run, made, counting = [], [], _Counting()
    # It brings SymPy, which takes longer to load than most arms to look at.
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
    """Nothing is compiled before, and nothing of it is left."""
    torch.compiler.reset()
    try:
        yield
    finally:
        torch.compiler.reset()
