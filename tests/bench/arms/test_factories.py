"""bench.arms.build_and_check: arms and inputs from a user's names."""

from pathlib import Path

import pytest
import torch
from torch import nn

from bench.arms.build_and_check import BuiltArm, make_arm, make_inputs
from bench.arms.inputs import Inputs
from bench.records.comparison import Arm
from bench.records.errors import InputError, UnavailableError
from helpers.own_arms import compare, write
from vitcore import ViT
from vitcore.attention import SdpaAttention, TorchAttention
from vitcore.blocks import EncoderBlock
from vitcore.patchers import LinearPatcher


def made(text: str, precision: str = "fp32") -> BuiltArm:
    """Make an arm on the CPU."""
    return make_arm(Arm(factory=text, precision=precision), "cpu")


def inputs_of(text: str | None, precision: str = "fp32", arm: str = "json:loads") -> Inputs:
    """The inputs of a comparison of an arm with itself."""
    return make_inputs(compare(arm, arm, text, precision=precision))


def test_an_arm_is_the_return_value_of_its_factory(tmp_path: Path) -> None:
    """A module or any callable at the comparison's precision, never compiled by the suite."""
    path = write(tmp_path / "arms.py", "from math import tau\ndef make(): return max")
    arm = made(f"{path}:make", "bf16")
    assert arm.work is max
    assert (arm.levels.precision, arm.levels.compile) == ("bf16", "eager")
    assert isinstance(made("torch.nn:ReLU").work, nn.ReLU), "a class without arguments is a factory"


def test_a_further_copy_is_another_module_of_the_same_kind(tmp_path: Path) -> None:
    """Copies are named by number and have equal weights in separate memory."""
    path = write(tmp_path / "arms.py", "from torch import nn\ndef make(): return nn.Linear(2, 2)")
    first, second = made(f"{path}:make").work, made(f"{path}:make#2").work
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert first is not second
    assert torch.equal(first.weight, second.weight)


def test_making_an_arm_leaves_the_callers_random_numbers_alone() -> None:
    """Making an arm does not advance the global generator."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    made("vitcore:attention=sdpa")
    inputs_of("2,3")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("None", "returned None; expected a module or a function to call: end the factory with"),
        ("3", "returned an object of type int; expected a module"),
        ("(max, min)", "returned an object of type tuple; expected a module"),
    ],
)
def test_a_factory_must_return_a_callable(tmp_path: Path, value: str, said: str) -> None:
    """A factory without a return value, the usual mistake, is refused."""
    path = write(tmp_path / "arms.py", f"def make(): return {value}")
    with pytest.raises(InputError) as raised:
        made(f"{path}:make#2")
    assert str(raised.value).startswith(f"arm '{path}:make#2' {said}")


def test_a_missing_file_is_refused_again() -> None:
    """Making an arm from a missing file, perhaps deleted since the check, is refused."""
    with pytest.raises(InputError, match=r"there is no file 'gone\.py'"):
        made("gone.py:make")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vitcore:attention=sdpa", SdpaAttention),
        ("vitcore:attention=mha", TorchAttention),
        ("vitcore:patcher=linear", LinearPatcher),
        ("vitcore:component=block,variant=B/32", EncoderBlock),
        ("vitcore:variant=B/32,image_size=32,head=mlp", ViT),
    ],
)
def test_parts_of_vitcore(text: str, kind: type[nn.Module]) -> None:
    """Each spec gives the part of its name, with that part's inputs by default."""
    arm = made(text)
    assert isinstance(arm.work, kind)
    (input_BX,) = inputs_of(None, arm=text).args
    with torch.inference_mode():
        assert len(arm.work(input_BX)) == 1


def test_a_parts_sizes_reach_it() -> None:
    """The part has the variant, image size and head of its spec."""
    model = made("vitcore:variant=L/32,image_size=64,head=mlp,attention=mha,patcher=unfold").work
    assert isinstance(model, ViT)
    config = model.config
    assert (config.width, config.patch_size, config.image_size) == (1024, 32, 64)
    assert (config.head, config.attention, config.patcher) == ("mlp", "mha", "unfold")


def test_a_parts_own_precision_and_compile_count() -> None:
    """Precision and compile level of a spec override those of the inputs for that arm alone."""
    own = made("vitcore:attention=sdpa,precision=bf16,compile=compile_blocks").levels
    assert (own.precision, own.compile) == ("bf16", "compile_blocks")
    assert made("vitcore:attention=sdpa", "fp16").levels.precision == "fp16"


def test_tf32_without_cuda_is_unavailable() -> None:
    """TF32 on a CPU is refused rather than measured as another precision."""
    with pytest.raises(UnavailableError, match="'tf32' is only available on CUDA"):
        made("vitcore:attention=sdpa,precision=tf32")


def test_shapes_give_seeded_standard_normal_inputs() -> None:
    """Each shape gives one tensor, equal at every call and different for other shapes."""
    first, again = inputs_of("64,64;3"), inputs_of("64,64;3")
    x_NN, x_N = first.args
    assert (x_NN.shape, x_N.shape) == ((64, 64), (3,))
    assert torch.equal(x_NN, again.args[0])
    assert abs(float(x_NN.mean())) < 0.1
    assert abs(float(x_NN.std()) - 1) < 0.1
    assert not torch.equal(inputs_of("64,64").args[0], x_NN)


@pytest.mark.parametrize("precision", ["int64", "int32", "uint8", "int8", "bool"])
def test_whole_numbers_are_small_indices(precision: str) -> None:
    """Integer inputs are random numbers below ten, valid indices of any table."""
    (index_N,) = inputs_of("1000", precision).args
    assert index_N.dtype == getattr(torch, precision)
    assert index_N.unique().tolist() == ([False, True] if precision == "bool" else list(range(10)))


@pytest.mark.parametrize(
    ("value", "args", "names"),
    [
        ("torch.ones(2)", 1, []),
        ("(torch.ones(2), 3, None)", 3, []),
        ("[torch.ones(2), {'inner': torch.ones(1)}]", 2, []),
        ("()", 0, []),
        ("{'x': torch.ones(2), 'mask': None}", 0, ["x", "mask"]),
    ],
)
def test_a_function_may_make_any_inputs(
    tmp_path: Path, value: str, args: int, names: list[str]
) -> None:
    """A tensor is one argument, a tuple or list several, a dict those by name."""
    path = write(tmp_path / "inputs.py", f"import torch\ndef make_inputs(): return {value}")
    inputs = inputs_of(f"{path}:make_inputs")
    assert len(inputs.args) == args
    assert list(inputs.kwargs) == names


def test_random_inputs_of_a_function_are_the_same_for_every_pass(tmp_path: Path) -> None:
    """A function's random inputs are seeded too."""
    path = write(tmp_path / "inputs.py", "import torch\ndef make(): return torch.rand(3)")
    first, again = (inputs_of(f"{path}:make").args[0] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(): pass", "returned None; expected a tensor, a tuple of what the arm takes"),
        ("def make(): return 'x'", "returned an object of type str; expected a tensor"),
        ("def make(): return 1 / 0", "cannot be built: ZeroDivisionError: division by zero"),
        ("def mak(): pass", "has no 'make'; did you mean 'mak'?"),
    ],
)
def test_mistakes_in_inputs_are_one_line(tmp_path: Path, code: str, said: str) -> None:
    """The error is one line and names the inputs rather than an arm."""
    path = write(tmp_path / "inputs.py", code)
    with pytest.raises(InputError) as raised:
        inputs_of(f"{path}:make")
    assert str(raised.value).startswith(f"input '{path}:make'")
    assert said in str(raised.value)
