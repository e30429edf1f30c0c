"""bench.suite.stacks: known relative cost, equal weights."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.suite.stacks import WIDTH, linear_20, linear_21, linear_50, linear_51

STACKS = [(linear_20, 20), (linear_21, 21), (linear_50, 50), (linear_51, 51)]


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_the_work_is_that_of_so_many_layers(make: Callable[[], nn.Sequential], layers: int) -> None:
    """Counted FLOPs are layers × 2 × tokens × 256 × 256, and the shape stays."""
    x_ND = torch.randn(4, WIDTH)
    with FlopCounterMode(display=False) as counter:
        out_ND = make()(x_ND)
    assert counter.get_total_flops() == layers * 2 * 4 * WIDTH * WIDTH
    assert out_ND.shape == x_ND.shape


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_no_layer_is_used_twice(make: Callable[[], nn.Sequential], layers: int) -> None:
    """Every layer reads weights of its own."""
    weights = [each.weight for each in make() if isinstance(each, nn.Linear)]
    assert len({weight.data_ptr() for weight in weights}) == layers
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_the_first_layers_are_the_same_in_every_stack(
    make: Callable[[], nn.Sequential], layers: int
) -> None:
    """A longer stack is a shorter one and then some, each time it is made."""
    shortest, stack = linear_20().state_dict(), make().state_dict()
    assert len(stack) == 2 * layers
    assert all(torch.equal(stack[name], value) for name, value in shortest.items())


def test_the_signal_does_not_die_out() -> None:
    """Numbers stay normal through the deepest stack: denormal ones would cost more than others."""
    out_ND = linear_51()(torch.randn(4, WIDTH))
    assert out_ND.abs().mean() > 1e-3


def test_making_a_stack_leaves_the_callers_random_numbers_alone() -> None:
    """Weights are seeded apart from the global generator."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    linear_20()
    assert torch.equal(torch.rand(1), expected)
