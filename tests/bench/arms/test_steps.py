"""bench.arms.steps: what a step of training changes, wherever an arm keeps it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.arms.steps import TrainingRecord
from bench.records.comparison import OWN, Arm, Workload

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def step_of(work: Callable[..., object], *inputs: Tensor) -> Candidate:
    """Return an arm in training after its first call."""
    workload = Workload(component="callable", mode="train", device="cpu", inputs="given")
    arm = Candidate(Arm(precision=OWN), workload, work, Inputs(args=inputs or (X,)))
    arm.outputs_and_gradients()
    return arm


def with_optimizer(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a function that is a whole step."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = module(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def by_hand(module: nn.Linear) -> Callable[[Tensor], Tensor]:
    """Return a function that writes its weight without an optimizer."""

    def step(x: Tensor) -> Tensor:
        loss: Tensor = module(x).square().mean()
        (slope,) = torch.autograd.grad(loss, module.weight)
        with torch.no_grad():
            module.weight -= 0.1 * slope
        return loss.detach()

    return step


def partly(module: nn.Linear) -> Callable[[Tensor], Tensor]:
    """Return a function that uses the weight alone."""
    return lambda x: x @ module.weight.T


def around(module: nn.Module) -> Callable[[Tensor], object]:
    """Return a function that hides a module."""
    return lambda x: module(x) + 0


def frozen() -> nn.Module:
    """Return two layers of which the first is not trained."""
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[0].requires_grad_(requires_grad=False)
    return module


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Linear(4, 4), "steps 20 parameters"),
        (lambda: around(nn.Linear(4, 4)), "steps 20 parameters"),
        (lambda: partly(nn.Linear(4, 4)), "steps 16 parameters"),
        (frozen, "steps 20 parameters"),
        (lambda: nn.BatchNorm1d(4), "steps 8 parameters and 3 buffers"),
        (lambda: torch.tanh, "steps 0 parameters"),
        (lambda: with_optimizer(nn.Linear(4, 4)), "steps 20 parameters in the call itself"),
        (lambda: by_hand(nn.Linear(4, 4)), "steps 16 parameters in the call itself"),
        (lambda: partial(torch.mul, torch.ones(4, requires_grad=True)), "steps 4 parameters"),
    ],
)
def test_what_a_step_changes_is_counted(make: Callable[[], Any], text: str) -> None:
    """Parameters with gradients, wherever they are, and buffers; what the call itself steps."""
    arm = step_of(make())
    assert str(arm.training).startswith(text)
    before = {name: each.clone() for name, each in arm.own.items()}
    arm()
    changed = [each for name, each in arm.own.items() if not torch.equal(each, before[name])]
    assert sum(each.numel() for each in changed) == arm.training.parameters


def test_a_hidden_module_trains_as_it_would_by_itself() -> None:
    """A function around a module has its gradients and its steps."""
    plain, hidden = nn.Linear(4, 4), nn.Linear(4, 4)
    hidden.load_state_dict(plain.state_dict())
    arms = step_of(plain), step_of(around(hidden))
    gradients = [arm.outputs_and_gradients()[1] for arm in arms]
    assert gradients[0].keys() == gradients[1].keys()
    for arm in arms:
        arm()
        arm()
    assert torch.equal(plain.weight, hidden.weight)


@pytest.mark.parametrize("make", [with_optimizer, by_hand])
def test_checks_and_rehearsals_undo_the_steps_of_an_arm(make: Callable[..., Any]) -> None:
    """Only timed calls train; there is no second optimizer."""
    module = nn.Linear(4, 4)
    before = module.weight.clone()
    arm = step_of(make(module))
    arm.rehearse()
    assert torch.equal(module.weight, before)
    first = arm.outputs_and_gradients()
    assert first[1] == {}
    assert torch.equal(first[0]["output"], arm.outputs_and_gradients()[0]["output"])
    arm()
    assert not torch.equal(module.weight, before)
    assert arm.optimizer is None


def test_steps_are_compared() -> None:
    """Numbers of parameters, and who steps them, make a difference; buffers do not."""
    one = TrainingRecord(parameters=20)
    assert one.against(TrainingRecord(parameters=20, buffers=3)) is None
    assert one.against(TrainingRecord()) == (
        "the candidate steps 20 parameters, the baseline steps 0 parameters"
    )
    assert "in the call itself" in str(one.against(TrainingRecord(parameters=20, is_own=True)))
