"""bench.arms.kept_state: what calls change is put back; copies of modules."""

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from bench.arms.contents import contents_of
from bench.arms.kept_state import copied_module, kept_state, unchanged
from bench.records.errors import InputError

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def trainer() -> Any:
    """Return a function that is a whole step of training, and its module and optimizer."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    free = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.AdamW([*module.parameters(), free])

    def step(x: Tensor) -> Tensor:
        loss: Tensor = (module(x) * free).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, module, optimizer, free


def state(module: nn.Module, optimizer: torch.optim.Optimizer, free: Tensor) -> list[Any]:
    """Return everything that a step changes, as numbers."""
    values = [*module.state_dict().values(), free]
    states = [v for each in optimizer.state.values() for v in each.values()]
    gradients = [each.grad for each in (*module.parameters(), free)]
    return [
        None if each is None else each.detach().tolist() for each in values + states + gradients
    ]


@pytest.mark.parametrize("steps_before", [0, 1])
def test_a_step_is_undone(steps_before: int) -> None:
    """Weights, buffers, loose tensors, gradients and the optimizer's state are as before."""
    step, module, optimizer, free = trainer()
    for _ in range(steps_before):
        step(X)
        optimizer.zero_grad()
    before = state(module, optimizer, free)
    with kept_state(contents_of(step)):
        first = step(X)
        assert state(module, optimizer, free) != before
    assert state(module, optimizer, free) == before
    assert torch.equal(step(X), first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_a_function_holds_is_the_users(dtype: torch.dtype) -> None:
    """Weights, memory, type and mode of hidden modules are as before, even after an exception."""
    step, module, _, _ = trainer()
    before = {n: v.clone() for n, v in module.state_dict().items()}
    addresses = [each.data_ptr() for each in module.parameters()]

    def use() -> None:
        with unchanged(step, nn.Linear(2, 2), torch.tanh):
            step(X)
            module.eval()
            for each in module.parameters():
                each.data = each.data.to(dtype)
            raise KeyError

    with pytest.raises(KeyError):
        use()
    assert module.training
    assert [each.data_ptr() for each in module.parameters()] == addresses
    for name, value in module.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_that_are_computed_can_be_copied(norm: Any) -> None:
    """A module with weight_norm that was called has a weight with a history."""
    module = nn.Sequential(nn.Linear(4, 3), norm(nn.Linear(3, 2, bias=False)))
    expected = module(X)
    made = copied_module(module)
    assert torch.equal(made(X), expected)
    addresses = [{p.data_ptr() for p in each.parameters()} for each in (module, made)]
    assert len(addresses[1]) == 4
    assert not addresses[0] & addresses[1]
    with torch.no_grad():
        for each in made.parameters():
            each.mul_(2)
    assert not torch.equal(made(X), expected)
    assert torch.equal(module(X), expected)


def test_what_cannot_be_copied_is_one_line() -> None:
    """The line has the reason and the way out."""
    module: Any = nn.Linear(2, 2)
    module.lock = threading.Lock()
    with pytest.raises(InputError, match=r"cannot pickle .*lock.*; give a function"):
        copied_module(module)
