"""bench.suite.stacks: known relative cost, equal weights."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.suite.stacks import WIDTH, linear_20, linear_21, linear_50, linear_51

STACKS = [(linear_20, 20), (linear_21, 21), (linear_50, 50), (linear_51, 51)]


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_work_scales_with_layers(make: Callable[[], nn.Sequential], layers: int) -> None:
    """Counted FLOPs are layers × 2 × tokens × 256 × 256, and the shape is kept."""
    x_ND = torch.randn(4, WIDTH)
    with FlopCounterMode(display=False) as counter:
        out_ND = make()(x_ND)
    assert counter.get_total_flops() == layers * 2 * 4 * WIDTH * WIDTH
    assert out_ND.shape == x_ND.shape


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_no_layer_is_used_twice(make: Callable[[], nn.Sequential], layers: int) -> None:
    """Every layer has weights of its own."""
    weights = [each.weight for each in make() if isinstance(each, nn.Linear)]
    assert len({weight.data_ptr() for weight in weights}) == layers
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(("make", "layers"), STACKS)
def test_the_first_layers_are_the_same_in_every_stack(
    make: Callable[[], nn.Sequential], layers: int
) -> None:
    """A longer stack begins with the layers of a shorter one, on every call."""
    shortest, stack = linear_20().state_dict(), make().state_dict()
    assert len(stack) == 2 * layers
    assert all(torch.equal(stack[name], value) for name, value in shortest.items())


def test_the_signal_does_not_die_out() -> None:
    """Values stay normal through the deepest stack, since denormal ones are slower."""
    out_ND = linear_51()(torch.randn(4, WIDTH))
    assert out_ND.abs().mean() > 1e-3


def test_stack_keeps_the_global_random_state() -> None:
    """Building a stack does not change torch's global generator."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    linear_20()
    assert torch.equal(torch.rand(1), expected)
