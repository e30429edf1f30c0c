"""bench.arms.agreement: the difference between two arms, and the part that rounding explains."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bench.arms.agreement import TOLERANCES, Agreement, agreement
from bench.arms.tensors import Leaves
from bench.records.errors import Remedy

SAME = "let both compute the same"
X_N = torch.tensor([3.0, 4.0])
NAN_N, INF_N = torch.tensor([3.0, math.nan]), torch.tensor([3.0, math.inf])


def of_outputs(value: Tensor, reference: Tensor, *precisions: str) -> Agreement:
    """Compare two arms of one output each."""
    return agreement(
        ({"output": value}, {}), ({"output": reference}, {}), precisions or ("fp32", "fp32")
    )


def of_gradients(values: Leaves, references: Leaves) -> Agreement:
    """Compare two arms with equal outputs."""
    return agreement(({"output": X_N}, values), ({"output": X_N}, references), ("fp32",))


def test_equal_outputs_agree() -> None:
    """Equal outputs, all zero or not, have an error of exactly 0 and no gradient error."""
    for value in (X_N, torch.zeros(3), torch.tensor([]), torch.tensor(2)):
        found = of_outputs(value, value.clone())
        assert (found.output_error, found.error) == (0.0, None)


def test_the_error_is_a_ratio_of_norms() -> None:
    """An error of 1 on a reference of norm 5 is 0.2, and one line has the remedy."""
    found = of_outputs(X_N + torch.tensor([0.0, 1.0]), X_N)
    assert found.output_error == pytest.approx(0.2)
    text = "outputs differ by 0.2 (relative norm), fp32 allows 1e-04"
    where = "only at row 1 of 2 (50 % of the elements), the rest agrees to 1e-16"
    assert found.error == f"{text}, {where}: {SAME}"


@pytest.mark.parametrize("precision", sorted(TOLERANCES))
def test_every_precision_has_an_edge(precision: str) -> None:
    """Arms agree just within the tolerance, and differ just above it."""
    reference_N = X_N.double()
    limit = TOLERANCES[precision]
    assert of_outputs(reference_N * (1 + 0.99 * limit), reference_N, precision).error is None
    error = of_outputs(reference_N * (1 + 1.01 * limit), reference_N, precision).error
    assert f"{precision} allows" in str(error)


@pytest.mark.parametrize(
    ("dtypes", "precisions", "expected"),
    [
        ((torch.float64, torch.float32), ("fp64", "fp64"), "fp32"),
        ((torch.float32, torch.bfloat16), ("fp32", "fp32"), "bf16"),
        ((torch.float16, torch.float16), ("fp32", "fp32"), "fp16"),
        ((torch.float32, torch.float32), ("fp32", "amp_bf16"), "amp_bf16"),
        ((torch.complex64, torch.complex64), ("fp64", "fp64"), "fp32"),
        ((torch.float64, torch.float64), ("int64", "int64"), "fp64"),
        ((torch.float8_e4m3fn, torch.float32), ("fp32", "fp32"), "bf16"),
    ],
)
def test_the_coarser_type_decides(
    dtypes: tuple[torch.dtype, torch.dtype], precisions: tuple[str, str], expected: str
) -> None:
    """The tolerance is that of the coarser type of arm and baseline."""
    value_N, reference_N = (X_N.to(dtype) for dtype in dtypes)
    error = of_outputs(torch.zeros_like(value_N), reference_N, *precisions).error
    assert f"differ by 1 (relative norm), {expected} allows" in str(error)


@given(numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1), scale=st.floats(1.1, 10))
def test_a_scaled_output_is_off_by_the_scale(numbers: list[float], scale: float) -> None:
    """An output scaled by any factor is off by that factor and never agrees."""
    value = torch.tensor([*numbers, 1.0], dtype=torch.float64)
    found = of_outputs(value * scale, value)
    assert found.output_error == pytest.approx(scale - 1)
    assert found.error


@pytest.mark.parametrize(
    ("value", "reference"), [(NAN_N, X_N), (X_N, NAN_N), (NAN_N, NAN_N), (NAN_N, INF_N)]
)
def test_nan_never_agrees(value: Tensor, reference: Tensor) -> None:
    """Outputs with NaN do not agree, even in both arms, and their error is empty."""
    found = of_outputs(value, reference)
    assert found.output_error is None
    assert str(found.error).startswith("outputs hold NaN, ")
    is_shared = bool(value.isnan().any() and reference.isnan().any())
    assert str(found.error).endswith("give other inputs" if is_shared else SAME)


def test_infinite_numbers_agree_where_they_are_equal() -> None:
    """Minus infinity, as in a masked score, agrees in both arms and differs in one."""
    assert of_outputs(INF_N, INF_N) == Agreement(output_error=0.0, largest_error=0.0)
    for value, reference in ((INF_N, X_N), (-INF_N, INF_N)):
        found = of_outputs(value, reference)
        assert found.output_error is None
        assert "outputs differ by inf" in str(found.error)


def test_any_number_differs_from_zeros() -> None:
    """Against a reference of norm 0 any other number is wrong, without a ratio."""
    found = of_outputs(X_N, torch.zeros(2))
    assert found.output_error is None
    assert found.error


@pytest.mark.parametrize(
    ("value", "count"), [([50_000, 2, 3], 0), ([50_001, 2, 3], 1), ([1, 1, 1], 3)]
)
def test_whole_numbers_are_equal_or_counted(value: list[int], count: int) -> None:
    """Integers agree only if equal: another token or class is not a rounding error."""
    found = of_outputs(torch.tensor(value), torch.tensor([50_000, 2, 3]), "bf16")
    assert found.output_error is not None
    assert (found.error is None) is (count == 0)
    if count == 1:
        where = "only at row 0 of 3 (33 % of the elements), the rest agrees to 1e-16"
        assert found.error == f"outputs differ in 1 of 3 integers, {where}: {SAME}"


@pytest.mark.parametrize(
    ("value", "reference", "said"),
    [
        (
            {"output": torch.ones(1, 197, 768)},
            {"output": torch.ones(1, 196, 768)},
            "outputs differ in shape: (1, 197, 768) against (1, 196, 768)",
        ),
        (
            {"output[0]": X_N, "output[1]": X_N},
            {"output[0]": X_N, "output[1]": torch.ones(())},
            "outputs differ in shape at output[1]: (2,) against ()",
        ),
        (
            {"output": X_N},
            {f"output[{index}]": X_N for index in range(6)},
            "structure: output against output[0], output[1], output[2], output[3], …: return the",
        ),
        ({"output['a']": X_N, "b": X_N}, {}, "output['a'], b against no tensor"),
        ({}, {}, "outputs hold no tensor to compare"),
    ],
)
def test_other_shapes_and_structures_are_named(value: Leaves, reference: Leaves, said: str) -> None:
    """Outputs of other shape or structure have no error, and one line has the difference."""
    found = agreement((value, {}), (reference, {}), ("fp32",))
    assert found.output_error is None
    assert said in str(found.error)
    assert found.remedy is Remedy.ALLOW_DIFFERENT


def test_a_tensor_alone_is_the_same_as_a_tuple_of_one() -> None:
    """A single tensor matches a tuple that holds it, as nn.MultiheadAttention's (x, None)."""
    found = agreement(({"output": X_N}, {}), ({"output['logits']": X_N}, {}), ("fp32",))
    assert found == Agreement(output_error=0.0, largest_error=0.0)


def test_mappings_are_matched_by_name() -> None:
    """Outputs in mappings are matched by name, in any order."""
    one, other = {"a": X_N, "b": 2 * X_N}, {"b": 2 * X_N, "a": X_N}
    assert agreement((one, {}), (other, {}), ("fp32",)).error is None


def test_gradients_are_compared_by_name() -> None:
    """Gradients of equal name and shape are compared together; others are left out."""
    values = {"w": X_N + 5, "mine": X_N, "reshaped": X_N}
    references = {"w": X_N, "yours": X_N, "reshaped": torch.ones(3)}
    found = of_gradients(values, references)
    assert found.output_error == 0
    assert found.gradient_error == pytest.approx(math.sqrt(2))
    assert str(found.error).startswith("gradients differ by 1.4 (relative norm)")


def test_gradients_without_a_common_name_are_not_compared() -> None:
    """Without a common name the gradient error is empty and the outputs decide."""
    assert of_gradients({"a": X_N}, {"b": X_N + 1}) == Agreement(
        output_error=0.0, largest_error=0.0
    )


def test_a_gradient_that_did_not_arrive_is_wrong() -> None:
    """Zero gradients against non-zero ones have an error of 1."""
    assert of_gradients({"w": torch.zeros(2)}, {"w": X_N}).gradient_error == 1
