"""bench.arms.candidate: any inputs and outputs, forward and in training."""

from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

import pytest
import torch
from torch import Tensor, nn

from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.arms.levels import half_mean_squares
from bench.arms.preparing import seeded
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
    """Make an arm on the CPU from any callable and its arguments."""
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="given")
    return Candidate(Arm(precision=precision), workload, work, Inputs(args=args, kwargs=kwargs))


class Scale(nn.Module):
    """A trained factor, a complex buffer and an integer buffer."""

    turn: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([2.0]))
        self.register_buffer("turn", torch.ones(1, dtype=torch.complex64))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))

    def forward(self, x_ND: Tensor) -> dict[str, Any]:
        """Return nested outputs, some of them not tensors."""
        return {"scaled": x_ND * self.factor, "more": (x_ND.sum(), None), "kind": "scale"}


def test_outputs_of_any_structure() -> None:
    """Each tensor is named by its place, detached and in its own type; other values are skipped."""
    outputs = candidate(Scale(), X_ND).outputs()
    assert list(outputs) == ["output['scaled']", "output['more'][0]"]
    assert torch.equal(outputs["output['scaled']"], 2 * X_ND)
    assert outputs["output['more'][0]"].shape == ()
    assert (
        candidate(lambda: torch.ones(1, dtype=torch.int8)).outputs()["output"].dtype == torch.int8
    )


def test_arguments_by_position_and_by_name() -> None:
    """A call gets its arguments in the same places; values other than tensors are unchanged."""
    seen: list[Any] = []

    def work(*args: Any, **kwargs: Any) -> None:
        seen.append((args, kwargs))

    candidate(work, X_ND, [X_ND, 3], mask=X_ND > 2, name="text")()
    (((first, (second, number)), kwargs),) = seen
    assert torch.equal(first, X_ND)
    assert torch.equal(second, X_ND)
    assert (number, kwargs["name"], kwargs["mask"].dtype) == (3, "text", torch.bool)


def test_inputs_are_equal_but_not_shared() -> None:
    """An arm that writes into its input changes neither the other arm's nor the caller's."""
    given = X_ND.clone()
    writes, reads = candidate(lambda x_ND: x_ND.mul_(0), given), candidate(lambda x_ND: x_ND, given)
    writes()
    assert torch.equal(reads.outputs()["output"], X_ND)
    assert torch.equal(given, X_ND)


def test_outputs_are_copies() -> None:
    """A later call does not change earlier outputs."""
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
    """Real floating tensors take the precision's type; complex and integer ones keep theirs."""
    module = Scale()
    arm = candidate(module, X_ND, X_ND > 2, precision=precision)
    assert (module.factor.dtype, arm.inputs.args[0].dtype) == (dtype, dtype)
    assert (module.turn.dtype, module.count.dtype) == (torch.complex64, torch.int64)
    assert arm.inputs.args[1].dtype == torch.bool


def test_integer_inputs_leave_parameters_alone() -> None:
    """An integer precision of the inputs does not change the parameters' type."""
    table = nn.Embedding(10, 4).to(torch.bfloat16)
    outputs = candidate(table, torch.tensor([1, 2]), precision="int64").outputs()
    assert outputs["output"].dtype == torch.bfloat16


def test_amp_is_autocast() -> None:
    """Autocast computes products in the half type from float32 parameters."""
    outputs = candidate(nn.Linear(3, 3), X_ND, precision="amp_bf16").outputs()
    assert outputs["output"].dtype == torch.bfloat16


@pytest.mark.parametrize(("mode", "training"), [("forward", False), ("train", True)])
def test_mode_sets_training_and_gradients(mode: str, *, training: bool) -> None:
    """The mode switches dropout and normalisation; forward keeps no graph."""
    module = nn.Linear(3, 3)
    arm = candidate(module, X_ND, mode=mode)
    with arm.surroundings():
        out_ND: Any = arm.step()
    assert module.training is training
    assert out_ND.requires_grad is training


def test_training_moves_trainable_parameters_only() -> None:
    """A step changes trainable parameters, but neither frozen ones nor inputs."""
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
    """Without trainable parameters the call is differentiated with respect to its inputs."""
    arm = candidate(work, X_ND, mode="train")
    _, gradients = arm.outputs_and_gradients()
    assert list(gradients) == ["input[0]"]
    assert gradients["input[0]"].count_nonzero()
    arm()
    first_ND = arm.inputs.args[0].grad.clone()
    arm()
    assert torch.equal(arm.inputs.args[0].grad, first_ND), "gradients of two steps were added"


def test_gradients_are_those_of_the_loss() -> None:
    """For outputs x·w and x, d(w²x²/2)/dw = w x²; an unused parameter has a zero gradient."""

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
    """The loss adds half mean squares of floating outputs and skips integer ones."""
    weight = torch.ones(1, requires_grad=True)
    output = {"a": 2 * weight, "b": [torch.tensor([0.0, 4.0]), torch.tensor([7])]}
    assert half_mean_squares(output).item() == 2 + 4


@pytest.mark.parametrize("output", [torch.ones(1), torch.tensor([3]), None, {"a": []}])
def test_nothing_to_train_is_refused(output: object) -> None:
    """Integers, constants and empty outputs have no gradient; the error names the remedy."""
    with pytest.raises(InputError, match=r"no output depends .*: measure --mode forward"):
        half_mean_squares(output)


def test_random_numbers_are_the_same_for_both_arms() -> None:
    """Two copies with dropout agree, and the caller's generator does not advance."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    arms = [candidate(nn.Dropout(0.5), X_ND, mode="train") for _ in range(2)]
    first, second = (arm.outputs_and_gradients()[0]["output"] for arm in arms)
    assert torch.equal(first, second)
    assert 0 < int((first == 0).sum()) < 6, "dropout did nothing"
    assert torch.equal(torch.rand(1), expected)


def test_seeded_numbers_repeat() -> None:
    """Seeded numbers repeat, and differ from the caller's."""
    with seeded("cpu"):
        first = torch.rand(3)
    outside = torch.rand(3)
    with seeded("cpu"):
        assert torch.equal(torch.rand(3), first)
    assert not torch.equal(outside, first)


def test_a_call_drops_its_result() -> None:
    """A call frees its output, so that freeing is part of every measured time."""
    outputs: list[ReferenceType[Tensor]] = []

    def work(x_ND: Tensor) -> Tensor:
        out_ND = x_ND * 2
        outputs.append(ref(out_ND))
        return out_ND

    candidate(work, X_ND)()
    assert [output() for output in outputs] == [None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_module_without_a_dtype_option_keeps_its_type(dtype: torch.dtype) -> None:
    """Without --dtype a bfloat16 module and its inputs stay bfloat16."""
    seen: list[torch.dtype] = []

    class Seeing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
            seen.append(input.dtype)
            return super().forward(input)

    module = Seeing(3, 3, dtype=dtype)
    candidate(module, X_ND, precision=OWN)()
    assert seen == [dtype]
    assert module.weight.dtype == dtype
