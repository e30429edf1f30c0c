"""vitcore.weights: one set of weights moves between all arms exactly, or not at all."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from vitcore import ViT, ViTConfig, transfer
from vitcore.config import ATTENTIONS, PATCHERS
from vitcore.weights import canonical

TINY = ViTConfig(
    image_size=(4, 6),
    patch_size=2,
    channels=3,
    width=8,
    depth=1,
    heads=2,
    mlp_width=12,
    num_classes=5,
)
CUDA = (
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
)
ARMS = [
    replace(TINY, patcher=patcher, attention=attention)
    for patcher, attention in product(PATCHERS, ATTENTIONS)
]


def arm_name(config: ViTConfig) -> str:
    """Name of an arm in pytest's ids."""
    return f"{config.patcher}+{config.attention}"


def randomised(config: ViTConfig, seed: int = 0) -> ViT:
    """Build a float32 model in which no parameter is zero."""
    model = ViT(config)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def assert_same_bits(one: nn.Module, other: nn.Module) -> None:
    """Compare two models' weights under arm-free names, exactly."""
    weights, others = canonical(one.state_dict()), canonical(other.state_dict())
    torch.testing.assert_close(weights, others, rtol=0, atol=0)


@pytest.mark.parametrize("target", ARMS, ids=arm_name)
@pytest.mark.parametrize("source", ARMS, ids=arm_name)
def test_round_trip(source: ViTConfig, target: ViTConfig) -> None:
    """Weights move from any arm to any arm and back bit for bit."""
    first, there, back = randomised(source), randomised(target, 1), randomised(source, 2)
    transfer(first, there)
    assert_same_bits(first, there)
    transfer(there, back)
    for name, value in first.state_dict().items():
        assert torch.equal(value, back.state_dict()[name])


@pytest.mark.parametrize("patcher", PATCHERS)
def test_target_may_be_channels_last(patcher: str) -> None:
    """A target with a channels-last convolution weight receives its weights too."""
    source, target = randomised(TINY), randomised(replace(TINY, patcher=patcher), 1)
    target.to(memory_format=torch.channels_last)
    transfer(source, target)
    assert_same_bits(source, target)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_target_keeps_its_dtype(dtype: torch.dtype) -> None:
    """Weights are rounded to the target's dtype."""
    source, target = randomised(ARMS[0]), ViT(ARMS[-1]).to(dtype)
    transfer(source, target)
    assert {value.dtype for value in target.state_dict().values()} == {dtype}
    assert_same_bits(source.to(dtype), target)


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=CUDA)])
def test_target_keeps_its_device(device: str) -> None:
    """Weights move to the target's device."""
    source, target = randomised(ARMS[0]), ViT(ARMS[-1]).to(device)
    transfer(source, target)
    assert {value.device.type for value in target.state_dict().values()} == {device}
    if device != "meta":
        assert_same_bits(source, target.cpu())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 2}, r"'blocks\.1\..* is in one model only \(12 .* same depth and head"),
        ({"head": "mlp"}, r"'head\.hidden\..* is in one model only \(2 .* same depth and head"),
        ({"width": 16}, r"in the source and .* in the target; expected models of equal size"),
        ({"mlp_width": 16}, r"expand\.weight' is \(12, 8\) in the source and \(16, 8\) in the"),
        ({"num_classes": 6}, r"classify\.weight' is \(5, 8\) in the source and \(6, 8\) in the"),
        ({"channels": 1}, r"projection\.weight' is \(8, 12\) in the source and \(8, 4\) in the"),
        ({"heads": 4}, r"source has 2 attention heads and the target 4; expected equal numbers"),
        ({"image_size": 4}, r"position_1ND' is \(1, 7, 8\) in the source and \(1, 5, 8\) in"),
    ],
)
def test_other_sizes_are_refused(changes: dict[str, Any], message: str) -> None:
    """Models of different sizes are refused before any weight is written."""
    source, target = randomised(TINY), randomised(replace(TINY, **changes), 1)
    with pytest.raises(ValueError, match=message):
        transfer(source, target)
    assert_same_bits(target, randomised(target.config, 1))
    with pytest.raises(ValueError, match="weights cannot move"):
        transfer(target, source)
