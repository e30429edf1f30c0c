"""bench.arms.candidate: whatever goes in and comes out, forward and in training."""

from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

import pytest
import torch
from torch import Tensor, nn

from bench.arms.candidate import Candidate, seeded
from bench.arms.levels import half_mean_squares
from bench.arms.tensors import Inputs
from bench.records.comparison import OWN, Arm, Workload
from bench.records.errors import InputError

X_ND = torch.arange(6.0).reshape(2, 3)


def candidate(
    work: Callable[..., object],
    *args: Any,
    mode: str = "forward",
    precision: str = "fp32",
    **kwargs: Any,
) -> Candidate:
    """Make an arm on the CPU from any work and its arguments."""
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="given")
    return Candidate(Arm(precision=precision), workload, work, Inputs(args=args, kwargs=kwargs))


class Scale(nn.Module):
    """One trained number, one buffer that turns, one that counts."""

    turn: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([2.0]))
        self.register_buffer("turn", torch.ones(1, dtype=torch.complex64))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))

    def forward(self, x_ND: Tensor) -> dict[str, Any]:
        """Nested outputs with what is no tensor."""
        return {"scaled": x_ND * self.factor, "more": (x_ND.sum(), None), "kind": "scale"}


def test_outputs_of_any_structure() -> None:
    """Every tensor comes by its place, detached, in its own type; the rest is passed over."""
    outputs = candidate(Scale(), X_ND).outputs()
    assert list(outputs) == ["output['scaled']", "output['more'][0]"]
    assert torch.equal(outputs["output['scaled']"], 2 * X_ND)
    assert outputs["output['more'][0]"].shape == ()
    assert (
        candidate(lambda: torch.ones(1, dtype=torch.int8)).outputs()["output"].dtype == torch.int8
    )


def test_arguments_by_position_and_by_name() -> None:
    """A call gets what was given in the same places; what is no tensor comes as it is."""
    seen: list[Any] = []

    def work(*args: Any, **kwargs: Any) -> None:
        seen.append((args, kwargs))

    candidate(work, X_ND, [X_ND, 3], mask=X_ND > 2, name="text")()
    (((first, (second, number)), kwargs),) = seen
    assert torch.equal(first, X_ND)
    assert torch.equal(second, X_ND)
    assert (number, kwargs["name"], kwargs["mask"].dtype) == (3, "text", torch.bool)


def test_inputs_are_equal_but_not_shared() -> None:
    """An arm that writes into its input disturbs neither the other's nor the caller's."""
    given = X_ND.clone()
    writes, reads = candidate(lambda x_ND: x_ND.mul_(0), given), candidate(lambda x_ND: x_ND, given)
    writes()
    assert torch.equal(reads.outputs()["output"], X_ND)
    assert torch.equal(given, X_ND)


def test_outputs_are_copies() -> None:
    """What a later call writes does not change what an earlier one gave."""
    out_ND = torch.zeros(2, 3)
    arm = candidate(out_ND.add_, X_ND)
    first = arm.outputs()["output"]
    arm()
    assert torch.equal(first, X_ND)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("fp32", torch.float32),
        ("fp64", torch.float64),
        ("fp16", torch.float16),
        ("bf16", torch.bfloat16),
        ("amp_bf16", torch.float32),
    ],
)
def test_parameters_and_inputs_get_the_type_of_the_precision(
    precision: str, dtype: torch.dtype
) -> None:
    """Floating numbers change; complex and whole ones have no such type and stay."""
    module = Scale()
    arm = candidate(module, X_ND, X_ND > 2, precision=precision)
    assert (module.factor.dtype, arm.inputs.args[0].dtype) == (dtype, dtype)
    assert (module.turn.dtype, module.count.dtype) == (torch.complex64, torch.int64)
    assert arm.inputs.args[1].dtype == torch.bool


def test_with_whole_numbers_parameters_stay_as_they_were_made() -> None:
    """Indices have a type that no parameter can have."""
    table = nn.Embedding(10, 4).to(torch.bfloat16)
    outputs = candidate(table, torch.tensor([1, 2]), precision="int64").outputs()
    assert outputs["output"].dtype == torch.bfloat16


def test_amp_is_autocast() -> None:
    """Under autocast products come in half the width, from parameters of full width."""
    outputs = candidate(nn.Linear(3, 3), X_ND, precision="amp_bf16").outputs()
    assert outputs["output"].dtype == torch.bfloat16


@pytest.mark.parametrize(("mode", "training"), [("forward", False), ("train", True)])
def test_a_module_knows_whether_it_trains(mode: str, *, training: bool) -> None:
    """Dropout and normalisation behave as the mode has them; forward keeps no graph."""
    module = nn.Linear(3, 3)
    arm = candidate(module, X_ND, mode=mode)
    with arm.surroundings():
        out_ND: Any = arm.step()
    assert module.training is training
    assert out_ND.requires_grad is training


def test_training_moves_what_is_trained() -> None:
    """A step changes trainable parameters, not frozen ones, and not the inputs."""
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).requires_grad_(requires_grad=False)
    module[1].weight.requires_grad_()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    arm = candidate(module, X_ND, mode="train")
    arm()
    after = module.state_dict()
    assert [n for n in before if not torch.equal(before[n], after[n])] == ["1.weight"]
    assert not arm.inputs.args[0].requires_grad


@pytest.mark.parametrize(
    "work", [torch.tanh, nn.Tanh(), nn.Linear(3, 3).requires_grad_(requires_grad=False)]
)
def test_without_parameters_gradients_go_to_the_inputs(work: Callable[..., object]) -> None:
    """A callable, and a module with nothing to train, are differentiated by their input."""
    arm = candidate(work, X_ND, mode="train")
    _, gradients = arm.outputs_and_gradients()
    assert list(gradients) == ["input[0]"]
    assert gradients["input[0]"].count_nonzero()
    arm()
    first_ND = arm.inputs.args[0].grad.clone()
    arm()
    assert torch.equal(arm.inputs.args[0].grad, first_ND), "gradients of two steps were added"


def test_gradients_are_those_of_the_loss() -> None:
    """Outputs x·w and x of 1 number: d(w²x²/2)/dw = w x², and zero where none arrives."""

    class Two(Scale):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Parameter(torch.ones(2))

    outputs, gradients = candidate(Two(), torch.tensor([3.0]), mode="train").outputs_and_gradients()
    assert outputs["output['scaled']"].item() == 6
    assert gradients["factor"].item() == pytest.approx(18)
    assert gradients["idle"].tolist() == [0, 0]
    assert gradients["factor"].dtype == torch.float64


def test_the_loss_is_the_sum_over_floating_outputs() -> None:
    """Half mean squares of 2 and of (0, 4); whole numbers have no part in it."""
    weight = torch.ones(1, requires_grad=True)
    output = {"a": 2 * weight, "b": [torch.tensor([0.0, 4.0]), torch.tensor([7])]}
    assert half_mean_squares(output).item() == 2 + 4


@pytest.mark.parametrize("output", [torch.ones(1), torch.tensor([3]), None, {"a": []}])
def test_nothing_to_train_is_refused(output: object) -> None:
    """Whole numbers, constants and nothing at all have no gradient; the remedy is named."""
    with pytest.raises(InputError, match=r"no output depends .*: measure --mode forward"):
        half_mean_squares(output)


def test_random_numbers_are_the_same_for_both_arms() -> None:
    """Two copies with dropout agree when checked, and the caller's generator is left alone."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    arms = [candidate(nn.Dropout(0.5), X_ND, mode="train") for _ in range(2)]
    first, second = (arm.outputs_and_gradients()[0]["output"] for arm in arms)
    assert torch.equal(first, second)
    assert 0 < int((first == 0).sum()) < 6, "dropout did nothing"
    assert torch.equal(torch.rand(1), expected)


def test_seeded_numbers_repeat() -> None:
    """The same numbers come each time, and are not the caller's."""
    with seeded("cpu"):
        first = torch.rand(3)
    outside = torch.rand(3)
    with seeded("cpu"):
        assert torch.equal(torch.rand(3), first)
    assert not torch.equal(outside, first)


def test_a_call_drops_its_result() -> None:
    """Freeing the output is part of every timed call, whoever times it: nothing is left of it."""
    outputs: list[ReferenceType[Tensor]] = []

    def work(x_ND: Tensor) -> Tensor:
        out_ND = x_ND * 2
        outputs.append(ref(out_ND))
        return out_ND

    candidate(work, X_ND)()
    assert [output() for output in outputs] == [None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_module_whose_type_nobody_chose_keeps_its_own(dtype: torch.dtype) -> None:
    """Without --dtype a bfloat16 module is measured in bfloat16, on inputs of its type."""
    seen: list[torch.dtype] = []

    class Seeing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
            seen.append(input.dtype)
            return super().forward(input)

    module = Seeing(3, 3, dtype=dtype)
    candidate(module, X_ND, precision=OWN)()
    assert seen == [dtype]
    assert module.weight.dtype == dtype
