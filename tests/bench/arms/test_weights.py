"""bench.arms.weights: moving weights from one module to another, and back."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.arms.weights import (
    KeptWeights,
    comparable_gradients,
    has_weights,
    misfit,
    share_weights,
)


def test_weights_are_copied_between_arms_of_one_function() -> None:
    """A convolution gets the weights of the Linear that does the same, in its own layout."""
    conv, linear = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last), nn.Linear(12, 4)
    share_weights(linear, conv)
    assert torch.equal(conv.weight.reshape(4, 12), linear.weight)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (nn.Linear(2, 3), "'weight' has other shapes, (2, 3) against (3, 2)"),
        (nn.Linear(3, 2, bias=False), "'bias' is in the candidate only"),
        (nn.ReLU(), "'bias' is in the candidate only (2 names are)"),
        (nn.LayerNorm(2), "'weight' has other shapes"),
        (nn.Bilinear(3, 3, 2), "'weight' has other shapes"),
        (nn.MultiheadAttention(2, 1), "'in_proj.bias' is in the baseline only (4 names are)"),
    ],
)
def test_weights_that_do_not_fit_leave_the_target_alone(source: nn.Module, why: str) -> None:
    """Other shapes, names or numbers of parameters leave the target unchanged, with the reason."""
    target = nn.Linear(3, 2)
    before = target.weight.clone()
    share_weights(source, target)
    assert torch.equal(target.weight, before)
    assert str(misfit(source, target)).startswith(why)


def test_weights_made_in_inference_mode_can_be_written() -> None:
    """A factory under inference mode makes weights that only inference mode can write."""
    with torch.inference_mode():
        target = nn.Linear(3, 2)
    source = nn.Linear(3, 2)
    share_weights(source, target)
    assert torch.equal(target.weight, source.weight)


def test_kept_weights_come_back() -> None:
    """Parameters and buffers of several modules are restored in place, bit by bit."""
    norm, linear = nn.BatchNorm1d(3), nn.Linear(3, 3)
    modules: list[nn.Module] = [norm, linear]
    before = [{n: v.clone() for n, v in each.state_dict().items()} for each in modules]
    kept, addresses = KeptWeights(modules), [p.data_ptr() for m in modules for p in m.parameters()]
    with torch.no_grad():
        norm(torch.randn(5, 3))
        linear.weight.zero_()
    kept.restore()
    for module, values in zip(modules, before, strict=True):
        assert all(torch.equal(module.state_dict()[n], value) for n, value in values.items())
    assert [p.data_ptr() for m in modules for p in m.parameters()] == addresses


def test_what_has_weights() -> None:
    """Buffers count, other state does not."""
    assert has_weights(nn.Linear(1, 1))
    assert has_weights(nn.BatchNorm1d(1, affine=False))
    assert not has_weights(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x, [1.0, 2.0, 3.0]),
        (lambda x: x.bfloat16(), [1.0, 2.0, 3.0]),
        (lambda x: x.flip(0), [1.0, 2.0, 3.0]),
        (lambda x: 2 * x, None),
    ],
)
def test_gradients_are_compared_where_the_weights_allow_it(
    change: Callable[[Tensor], Tensor], expected: list[float] | None
) -> None:
    """Equal weights, in any order, have comparable gradients; those of other weights have none."""
    weight, gradient = torch.tensor([0.1, 0.7, 0.3]), torch.tensor([1.0, 2.0, 3.0])
    own = {"w": change(weight)}
    found = comparable_gradients({"w": change(gradient)}, {"w": gradient}, own, {"w": weight})
    if expected is None:
        assert found == ({}, {})
    else:
        assert [each["w"].tolist() for each in found] == [expected, expected]


def test_gradients_without_known_weights_are_compared() -> None:
    """A name that one arm alone has is left out; other shapes are left to the comparison."""
    x_N = torch.ones(2)
    found = comparable_gradients({"w": x_N, "a": x_N}, {"w": x_N, "b": x_N}, {}, {})
    assert [list(each) for each in found] == [["w"], ["w"]]
