"""vitcore.weights: one set of weights moves between all arms exactly, or not at all."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from vitcore import ViT, ViTConfig, transfer
from vitcore.config import ATTENTIONS, PATCHERS
from vitcore.weights import canonical, tie

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


def outputs(model: nn.Module) -> torch.Tensor:
    """Return a model's logits on a fixed image."""
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        logits_BL: torch.Tensor = model.eval()(torch.randn(2, 3, 4, 6, generator=generator))
    return logits_BL


def addresses(model: nn.Module) -> set[int]:
    """Return the addresses of a model's weights."""
    return {each.untyped_storage().data_ptr() for each in model.state_dict().values()}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("target", ARMS, ids=arm_name)
@pytest.mark.parametrize("source", ARMS, ids=arm_name)
def test_tied_arms_hold_one_set_of_weights(
    source: ViTConfig, target: ViTConfig, device: str
) -> None:
    """Any arm takes the very weights of any other, and computes the same with them."""
    first = randomised(source)
    with torch.device(device):
        tied = ViT(target)
    names = list(tied.state_dict())
    tie(first, tied)
    assert_same_bits(first, tied)
    assert addresses(tied) == addresses(first)
    assert list(tied.state_dict()) == names
    torch.testing.assert_close(outputs(tied), outputs(first), rtol=1e-4, atol=1e-4)


def test_tied_weights_change_together() -> None:
    """What is written into the weights of one is read from the other."""
    first, tied = randomised(ARMS[0]), randomised(ARMS[-1], 1)
    tie(first, tied)
    with torch.no_grad():
        for parameter in first.parameters():
            nn.init.normal_(parameter)
    assert_same_bits(first, tied)


def test_tied_weights_have_the_sources_type() -> None:
    """The target takes on the type of the weights that it shares."""
    source = randomised(ARMS[0]).to(torch.bfloat16)
    with torch.device("meta"):
        tied = ViT(ARMS[-1])
    tie(source, tied)
    assert {value.dtype for value in tied.state_dict().values()} == {torch.bfloat16}


def test_a_conversion_of_a_tied_model_leaves_the_source_alone() -> None:
    """A tied arm that is laid out anew gets weights of its own."""
    source, tied = randomised(TINY), randomised(TINY, 1)
    tie(source, tied)
    tied.to(memory_format=torch.channels_last)
    convolution = source.get_parameter("patcher.projection.weight")
    assert convolution.is_contiguous()
    assert not tied.get_parameter("patcher.projection.weight").is_contiguous()


@pytest.mark.parametrize("changes", [{"depth": 2}, {"width": 16}, {"heads": 4}, {"head": "mlp"}])
def test_models_of_other_sizes_are_not_tied(changes: dict[str, Any]) -> None:
    """Models of different sizes are refused, and the target keeps its weights."""
    source, target = randomised(TINY), randomised(replace(TINY, **changes), 1)
    with pytest.raises(ValueError, match="weights cannot move"):
        tie(source, target)
    assert_same_bits(target, randomised(target.config, 1))


def test_a_copy_is_not_passed_off_as_the_weights_themselves() -> None:
    """A channels-last weight fits its own kind only: a Linear would need a copy."""
    source = randomised(TINY).to(memory_format=torch.channels_last)
    tied, target = randomised(TINY, 1), randomised(replace(TINY, patcher="linear"), 1)
    tie(source, tied)
    assert addresses(tied) == addresses(source)
    with pytest.raises(ValueError, match=r"'patcher\.projection\.weight' is \(8, 3, 2, 2\) in the"):
        tie(source, target)
    assert_same_bits(target, randomised(target.config, 1))
