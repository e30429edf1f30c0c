"""bench.arms.modes: training and evaluation, gradients on and off, shapes of a first call."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.arms.modes import ForwardMode, exported_mode, has_lazy, set_mode, settle_shapes
from bench.records.comparison import OWN, Arm, Workload
from bench.records.errors import InputError

X = torch.ones(2, 4)


def exported(*layers: nn.Module, train: bool) -> nn.Module:
    """Return layers as torch.export makes them."""
    module = nn.Sequential(*layers).train(train)
    program: Any = torch.export.export(module, (X,))
    made: nn.Module = program.module()
    return made


def candidate(work: Any, mode: str = "forward") -> Candidate:
    """Make an arm of any work on the CPU."""
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="given")
    return Candidate(Arm(precision=OWN), workload, work, Inputs(args=(X,)))


@pytest.mark.parametrize("train", [True, False])
def test_an_exported_program_runs_in_its_own_mode(*, train: bool) -> None:
    """Dropout tells the mode; the other one is an error that names the option."""
    module = exported(nn.Linear(4, 4), nn.Dropout(0.5), train=train)
    assert exported_mode(module) is train
    set_mode(module, train=train)
    own, other = ("train", "forward") if train else ("forward", "train")
    with pytest.raises(InputError, match=f"cannot be switched: measure --mode {own}, or export it"):
        candidate(module, other)
    assert candidate(module, own).module is module


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_program_that_is_the_same_in_both_modes_runs_in_both(mode: str) -> None:
    """Without dropout or batch statistics an exported program is trained, too."""
    module = exported(nn.Linear(4, 4), nn.GELU(), train=False)
    assert exported_mode(module) is None
    arm = candidate(module, mode)
    arm.rehearse()
    arm()
    assert arm.training.parameters == (20 if mode == "train" else 0)


def test_the_rest_of_a_module_is_switched() -> None:
    """A program inside a module leaves the mode of the others to the switch."""
    whole = nn.Sequential(exported(nn.Linear(4, 4), train=False), nn.Dropout())
    for train in (False, True):
        set_mode(whole, train=train)
        assert (whole.training, whole[1].training) == (train, train)


def test_a_switch_of_its_own_is_used() -> None:
    """A module that keeps a part in evaluation does so."""

    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def train(self, mode: bool = True) -> "Frozen":  # noqa: FBT001, FBT002 (torch's own)
            super().train(mode)
            self.norm.eval()
            return self

    module = Frozen()
    set_mode(module, train=True)
    assert (module.training, module.norm.training) == (True, False)


def takes_a_step(x: Tensor) -> Tensor:
    """Take a gradient step with gradients switched on inside."""
    with torch.enable_grad():
        inner = x.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad((inner**2).sum(), inner)
    return x - slope


def trains(x: Tensor) -> Tensor:
    """Need gradients from outside."""
    weight = torch.ones(4, requires_grad=True)
    (x * weight).sum().backward()
    return x + weight.grad  # type: ignore[operator]


@pytest.mark.parametrize(
    ("work", "text", "grad"),
    [
        (torch.tanh, "in inference mode", False),
        (takes_a_step, "under no_grad", False),
        (trains, "with gradients on", True),
    ],
)
def test_gradients_are_off_as_far_as_a_call_allows(
    work: Callable[..., object], text: str, *, grad: bool
) -> None:
    """The first call finds the mode, in which the later ones are."""
    for start in (Candidate.outputs, Candidate.rehearse):
        arm = candidate(work)
        start(arm)
        assert str(arm.forward) == text
        with arm.surroundings():
            assert torch.is_grad_enabled() is grad
            assert torch.is_inference_mode_enabled() is (work is torch.tanh)
            arm.once()


@pytest.mark.parametrize("error", [RuntimeError("no such kernel"), ValueError("requires grad")])
def test_other_exceptions_are_not_tried_again(error: Exception) -> None:
    """An arm that fails for another reason is called once."""
    calls = []

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        ForwardMode().tried(call)
    assert len(calls) == 1


def test_an_arm_that_fails_in_every_mode_fails() -> None:
    """The last exception is the arm's."""

    def call() -> None:
        raise RuntimeError("element 0 does not require grad")

    with pytest.raises(RuntimeError, match="does not require grad"):
        ForwardMode().tried(call)


@pytest.mark.parametrize("hide", [False, True])
def test_lazy_shapes_are_settled_by_a_call(*, hide: bool) -> None:
    """The first call gives shapes, the same numbers each time, in the mode that the module has."""
    made: list[Any] = []
    for _ in range(2):
        module: Any = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
        work = (lambda x, inner=module: inner(x)) if hide else module
        settle_shapes(work, module, Inputs(args=(X,)), "cpu")
        assert not has_lazy(module)
        assert module.training
        made.append(module)
    assert torch.equal(made[0][0].weight, made[1][0].weight)
    assert int(made[0][1].num_batches_tracked) == 0


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_lazy_arm_is_ready(mode: str) -> None:
    """Its optimizer has the parameters that the first call made."""
    arm = candidate(nn.LazyLinear(3), mode)
    arm.rehearse()
    assert arm.training.parameters == (15 if mode == "train" else 0)
