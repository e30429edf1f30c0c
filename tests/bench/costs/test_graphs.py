"""bench.costs.graphs: graph breaks and recompiles, counted without a compiler."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.arms import building
from bench.costs.graphs import graphs_of
from bench.records.arm_costs import Graphs
from bench.records.comparison import Arm, Workload
from helpers.records import make_workload
from helpers.variants import TINY
from vitcore.config import ViTConfig

pytestmark = pytest.mark.usefixtures("tiny")
MODEL = make_workload(component="model", variant="Ti/16", image_size=32)
BLOCK = make_workload(component="block", variant="Ti/16", image_size=32)


class Linear(nn.Module):
    """A Linear layer of a model's width that applies ``between`` to its output."""

    def __init__(self, config: ViTConfig, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.between = nn.Linear(config.width, config.width), between

    def forward(self, x_BND: Tensor) -> Tensor:
        """Two products, one before and one after ``between``."""
        out_BND: Tensor = self.linear(self.between(self.linear(x_BND)))
        return out_BND


def breaks(x_BND: Tensor) -> Tensor:
    """Break the graph once."""
    torch._dynamo.graph_break()
    return x_BND


def breaks_twice(x_BND: Tensor) -> Tensor:
    """Break the graph twice."""
    return breaks(breaks(x_BND) + 1)


def branches(x_BND: Tensor) -> Tensor:
    """Branch on the number of images."""
    return x_BND * len(x_BND) if len(x_BND) in (1, 2) else x_BND / 8


def fails(x_BND: Tensor) -> Tensor:
    """Raise for more than one image."""
    if len(x_BND) > 1:
        raise ValueError("one image at a time")
    return x_BND


def with_block(monkeypatch: pytest.MonkeyPatch, between: Callable[[Tensor], Tensor]) -> None:
    """Replace a model's block."""
    monkeypatch.setitem(building._COMPONENTS, "block", lambda config: Linear(config, between))


@pytest.mark.parametrize("workload", [MODEL, BLOCK], ids=lambda each: each.component)
@pytest.mark.parametrize("attention", ["sdpa", "manual"])
@pytest.mark.parametrize("how", ["compile", "compile_blocks"])
def test_vitcore_has_one_graph(workload: Workload, attention: str, how: str) -> None:
    """Vitcore's models have no graph break, and one recompile for the first batch."""
    found = graphs_of(Arm(attention=attention, compile=how), workload)
    assert found == Graphs(breaks=0, recompiles=1)


@pytest.mark.parametrize(("between", "times"), [(breaks, 1), (breaks_twice, 2)])
def test_breaks_are_counted(
    between: Callable[[Tensor], Tensor], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breaks of one call are counted, and a batch recompiles each graph between them."""
    with_block(monkeypatch, between)
    expected = Graphs(breaks=times, recompiles=times + 1)
    assert graphs_of(Arm(compile="compile"), BLOCK) == expected


def test_every_block_breaks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks with one break each have two breaks per call."""
    monkeypatch.setattr("vitcore.model.EncoderBlock", lambda config: Linear(config, breaks))
    assert graphs_of(Arm(compile="compile_blocks"), MODEL).breaks == TINY["depth"]


def test_a_branch_on_the_batch_size_recompiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two and eight images recompile once each; one image reuses the first graph."""
    with_block(monkeypatch, branches)
    assert graphs_of(Arm(compile="compile"), BLOCK) == Graphs(breaks=0, recompiles=2)


def test_the_compiler_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is reset before and after counting, even if a module raises."""
    assert is_forgotten_after(lambda: graphs_of(Arm(compile="compile"), BLOCK))
    with_block(monkeypatch, fails)
    assert is_forgotten_after(raises)


def raises() -> None:
    """Count the graphs of a module that raises."""
    with pytest.raises(ValueError, match="one image at a time"):
        graphs_of(Arm(compile="compile"), BLOCK)


def is_forgotten_after(call: Callable[[], object]) -> bool:
    """Whether a compiled function is compiled again after a call."""
    made = []

    def backend(graph: torch.fx.GraphModule, _: list[object]) -> Callable[..., object]:
        made.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x: x + 1, backend=backend)
    compiled(torch.ones(2))
    call()
    compiled(torch.ones(2))
    return len(made) == 2


def test_nothing_is_allocated() -> None:
    """Graphs are counted by shapes alone, also for a model too large for memory."""
    huge = make_workload(component="model", variant="H/14", patch_size=14, image_size=2240)
    assert graphs_of(Arm(compile="compile_blocks"), huge).breaks == 0
