"""Numeric error: relative norms, tolerances, and NaN."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.arms.agreement import TOLERANCES, beyond_tolerance, gradient_error, relative_error
from bench.suite.grid import LEVELS


def test_relative_error_is_a_ratio_of_norms() -> None:
    """An error of (3, 4) on a reference of norm 10 is one half."""
    reference_N = torch.tensor([6.0, 8.0], dtype=torch.float64)
    assert relative_error(reference_N + torch.tensor([3.0, 4.0]), reference_N) == 0.5


@given(scale=st.floats(1e-3, 1e3))
def test_relative_error_has_no_unit(scale: float) -> None:
    """Scaling value and reference alike does not change the error."""
    value_N, reference_N = torch.tensor([1.0, 2.1]).double(), torch.tensor([1.0, 2.0]).double()
    expected = relative_error(value_N, reference_N)
    assert relative_error(scale * value_N, scale * reference_N) == pytest.approx(expected)


def test_gradient_error_weighs_all_gradients_together() -> None:
    """Gradients of norm 3 and 4, one of them off by 1, have an error of 1/5."""
    references = {"a": torch.tensor([3.0]).double(), "b": torch.tensor([4.0]).double()}
    values = {"b": torch.tensor([5.0]).double(), "a": torch.tensor([3.0]).double()}
    assert gradient_error(values, references) == pytest.approx(0.2)


def test_a_missing_gradient_is_an_error() -> None:
    """A parameter without a gradient counts as wrong."""
    with pytest.raises(KeyError):
        gradient_error({}, {"a": torch.ones(1)})


@pytest.mark.parametrize("precision", LEVELS["precision"])
def test_every_precision_has_a_tolerance_that_holds_at_its_edge(precision: str) -> None:
    """At its tolerance an arm is right; just above it, or with NaN, it is wrong."""
    limit = TOLERANCES[precision]
    assert beyond_tolerance(precision, {"output": limit, "gradient": None}) is None
    for bad in (limit * 1.01, math.nan, math.inf):
        message = beyond_tolerance(precision, {"output": 0.0, "gradient": bad})
        assert message
        assert "gradient error" in message
        assert precision in message
