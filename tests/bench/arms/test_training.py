"""bench.arms.levels: forms of AdamW that take the same step, and recomputed blocks."""

import pytest
import torch
from torch import Tensor, nn

from bench.arms.levels import checkpoint_blocks, optimizer_of
from bench.suite.grid import LEVELS


def stepped(name: str) -> Tensor:
    """A weight after three steps with the same gradient."""
    weight = nn.Parameter(torch.linspace(-1, 1, 8))
    optimizer = optimizer_of(name, [weight])
    for _ in range(3):
        weight.grad = torch.linspace(1, 2, 8)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("name", [n for n in LEVELS["optimizer"] if n.startswith("adamw")])
def test_every_form_of_adamw_takes_the_same_step(name: str) -> None:
    """The loop, foreach and fused forms give the same weights."""
    torch.testing.assert_close(stepped(name), stepped("adamw"))


def test_sgd_is_another_step() -> None:
    """SGD moves the weights, to other values than AdamW."""
    assert not torch.allclose(stepped("sgd"), stepped("adamw"))
    assert not torch.allclose(stepped("sgd"), torch.linspace(-1, 1, 8))


class Counted(nn.Module):
    """Two blocks that count their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        self.calls = 0
        for block in self.blocks:
            block.register_forward_pre_hook(self._count)

    def _count(self, *_: object) -> None:
        self.calls += 1

    def forward(self, x_ND: Tensor) -> Tensor:
        """Run the blocks."""
        out_ND: Tensor = self.blocks(x_ND)
        return out_ND


def gradients(module: nn.Module) -> list[Tensor]:
    """Gradients of the sum of the outputs."""
    module(torch.ones(2, 4, requires_grad=True)).square().sum().backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    """Checkpointing runs blocks again in backward and keeps the gradients."""
    torch.manual_seed(0)
    module = Counted()
    expected = gradients(module)
    module.zero_grad()
    checkpoint_blocks(module)
    for found, right in zip(gradients(module), expected, strict=True):
        assert torch.equal(found, right)
