"""bench.arms.differences: what two outputs that differ have in common."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bench.arms.differences import likeness, nan_counts

X_BND = torch.randn(4, 20, 8, generator=torch.Generator().manual_seed(0))


def said(change: Callable[[Tensor], Tensor], limit: float = 1e-4) -> str | None:
    """Return the likeness of a changed output to the output."""
    return likeness(change(X_BND.clone()), X_BND, limit)


def without(*places: object) -> Callable[[Tensor], Tensor]:
    """Return a function that writes zeros at places."""

    def change(x: Tensor) -> Tensor:
        x[places] = 0  # type: ignore[index]
        return x

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            without(2),
            "only at row 2 of 4 (25 % of the elements), where the candidate is 0",
        ),
        (
            without(slice(None), slice(12, None)),
            "only at position 12 to 19 of 20 (40 % of the elements), where",
        ),
        (
            without(0, slice(15, None)),
            "only at row 0 of 4 and position 15 to 19 of 20 (6.2 % of the elements), where",
        ),
        (
            without(slice(None), slice(None), [1, 6]),
            "only at channel 1 to 6 (2 of 8) (25 % of the elements), where",
        ),
        (lambda x: x * 2, "the candidate is 2 times the baseline"),
        (lambda x: -x, "the candidate is -1 times the baseline"),
        (lambda x: x + 0.5, "the candidate is the baseline plus 0.5"),
        (lambda x: x.flip(0), "the candidate holds the same in another order of rows"),
        (lambda x: x[:, torch.arange(19, -1, -1)], "in another order of positions"),
        (lambda x: x.roll(3, 2), "in another order of channels"),
        (lambda x: x.mT.reshape(x.shape), "the candidate holds the same values in other places"),
        (lambda x: x.bfloat16().float(), "the candidate's values are rounded to bfloat16"),
        (lambda x: x.half().float(), "the candidate's values are rounded to float16"),
        (lambda x: x + 1e-3 * x.sin(), "all over, about as products in TF32 or half precision"),
    ],
)
def test_what_is_alike_is_found(change: Callable[[Tensor], Tensor], expected: str) -> None:
    """Places, zeros, factors, constants, orders and roundings are told apart."""
    assert expected in str(said(change, 1e-5))


def test_unlike_outputs_have_nothing_in_common() -> None:
    """Two independent outputs have no pattern."""
    assert said(lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(1))) is None


def test_scattered_elements_are_a_share() -> None:
    """Elements that differ in no whole slice are counted, those of the baseline too."""
    scattered = torch.rand(X_BND.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    assert "only in 3" in str(said(lambda x: torch.where(scattered, 0, x)))
    assert "where the baseline is 0" in str(likeness(X_BND, torch.where(scattered, 0, X_BND), 1e-4))


@pytest.mark.parametrize("value", [torch.zeros(0, 3), torch.full((2, 3), math.inf)])
def test_nothing_is_said_of_what_cannot_be_compared(value: Tensor) -> None:
    """Empty outputs and those with infinities have no likeness."""
    assert likeness(value, torch.ones_like(value), 1e-4) is None


def test_complex_outputs_and_integers_are_compared() -> None:
    """A complex output is looked at as its two parts, integers as numbers."""
    turned = torch.complex(X_BND, X_BND.flip(0))
    assert "2 times" in str(likeness(2 * turned, turned, 1e-4))
    whole_N = torch.tensor([3, 4, 5, 6])
    found = likeness(torch.tensor([3, 4, 5, 7]), whole_N, 0.0)
    assert found == "only at row 3 of 4 (25 % of the elements), the rest agrees to 1e-16"


@given(factor=st.floats(-9, 9).filter(lambda x: abs(x) > 0.1 and abs(x - 1) > 0.01))
def test_any_factor_is_found(factor: float) -> None:
    """A factor far from 1 is named with four digits."""
    assert said(lambda x: factor * x) == f"the candidate is {factor:.4g} times the baseline"


@given(order=st.permutations(range(8)))
def test_any_order_of_channels_is_found(order: list[int]) -> None:
    """A permutation is named, unless it leaves every channel or some of them in place."""
    text = said(lambda x: x[..., order])
    moved = [place for place, channel in enumerate(order) if place != channel]
    if len(moved) == len(order):
        assert text == "the candidate holds the same in another order of channels"
    elif moved:
        assert str(text).startswith("only at channel")


def test_nan_is_counted_in_each_arm() -> None:
    """The arm that has NaN is named, how many, and where."""
    value = X_BND.clone()
    assert nan_counts(value, X_BND) is None
    value[:, 3] = math.nan
    text = "32 of 640 elements are NaN in the candidate, 0 in the baseline"
    assert nan_counts(value, X_BND) == f"{text}, different at position 3 of 20"
    assert nan_counts(value, value) == text.replace("0 in the base", "32 in the base")
