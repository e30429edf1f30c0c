"""vitcore.model and vitcore.blocks: arms that agree, shapes, dropout, heads, first weights."""

import math
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitcore import ViT, ViTConfig, transfer
from vitcore.config import ATTENTIONS, PATCHERS
from vitcore.model import build_head
from vitcore.weights import canonical

ARMS = list(product(PATCHERS, ATTENTIONS))
TINY = ViTConfig(
    image_size=(8, 12),
    patch_size=4,
    channels=2,
    width=8,
    depth=2,
    heads=2,
    mlp_width=12,
    num_classes=5,
    head="mlp",
)
SIZES: dict[str, dict[str, Any]] = {
    "non-square": {},
    "one head": {"heads": 1, "head": "linear"},
    "one patch": {"image_size": 4},
    "pixels": {"image_size": (2, 3), "patch_size": 1, "heads": 8},
}


def randomised(config: ViTConfig) -> ViT:
    """Build a float64 model in which no parameter is zero."""
    torch.manual_seed(0)
    model = ViT(config).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def images(config: ViTConfig, batch: int) -> Tensor:
    """Draw a float64 batch of random images."""
    torch.manual_seed(1)
    return torch.randn(batch, config.channels, *config.image_hw, dtype=torch.float64)


def answer(model: ViT, image_BCHW: Tensor) -> dict[str, Tensor]:
    """Run under a fixed seed; return logits and every gradient under arm-free names."""
    image_BCHW = image_BCHW.to(model.position.position_1ND.dtype, copy=True).requires_grad_()
    leaves = {"image": image_BCHW, **dict(model.named_parameters())}
    torch.manual_seed(2)
    logits_BL = model(image_BCHW)
    gradients = torch.autograd.grad(torch.sin(logits_BL).sum(), list(leaves.values()))
    return {"logits": logits_BL.detach(), **canonical(dict(zip(leaves, gradients, strict=True)))}


def other_arm(source: ViT, patcher: str, attention: str) -> ViT:
    """Build another arm with the weights, dtype and mode of the source."""
    model = ViT(replace(source.config, patcher=patcher, attention=attention)).double()
    transfer(source, model)
    return model.train(source.training)


@pytest.mark.parametrize(
    ("training", "dropout"), [(False, 0.3), (True, 0.0), (True, 0.3)], ids=["eval", "train", "drop"]
)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_arms_agree(sizes: str, batch: int, *, training: bool, dropout: float) -> None:
    """All arms have equal outputs and gradients from one set of weights, also with dropout."""
    config = replace(TINY, **SIZES[sizes], dropout=dropout, patcher="unfold", attention="manual")
    source, image_BCHW = randomised(config).train(training), images(config, batch)
    expected = answer(source, image_BCHW)
    for arm in ARMS:
        got = answer(other_arm(source, *arm), image_BCHW)
        for name, value in expected.items():
            error = (got[name] - value).abs().max().item()
            assert error < 1e-11, f"{arm}: {name}"


@pytest.mark.parametrize(("patcher", "attention"), ARMS)
def test_float32_is_near_float64(patcher: str, attention: str) -> None:
    """In float32 outputs and gradients are within 1e-5 of float64's largest value."""
    source, image_BCHW = randomised(TINY), images(TINY, 3)
    expected = answer(source, image_BCHW)
    got = answer(other_arm(source, patcher, attention).float(), image_BCHW)
    for name, value in expected.items():
        assert got[name].dtype == torch.float32
        assert (got[name] - value).abs().max() < 1e-5 * value.abs().max()


def torch_encoder(model: ViT) -> nn.TransformerEncoder:
    """Build PyTorch's own encoder with the weights of a model whose attention is ``mha``."""
    config = model.config
    sizes = (config.width, config.heads, config.mlp_width, config.dropout)
    layer = nn.TransformerEncoderLayer(
        *sizes, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    layer.self_attn.dropout = 0.0  # the paper drops no attention weights
    encoder = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False).double()
    names = {"attention.branch.mha": "self_attn", "attention.norm": "norm1", "mlp.norm": "norm2"}
    names |= {"mlp.branch.expand": "linear1", "mlp.branch.contract": "linear2"}
    weights = {f"layers.{name}": value for name, value in model.blocks.state_dict().items()}
    for ours, theirs in names.items():
        weights = {name.replace(ours, theirs): value for name, value in weights.items()}
    encoder.load_state_dict(weights)
    return encoder


@pytest.mark.parametrize(("batch", "dropout"), [(3, 0.0), (1, 0.3)])
def test_model_equals_torchs_encoder(batch: int, dropout: float) -> None:
    """The encoder equals PyTorch's pre-norm encoder, with dropout in the same places."""
    model = randomised(replace(TINY, attention="mha", dropout=dropout))
    encoder, image_BCHW, weights = torch_encoder(model), images(TINY, batch), model.state_dict()
    token_B1D = weights["class_token.token_11D"].expand(batch, 1, -1)
    x_BND = torch.cat((token_B1D, model.patcher(image_BCHW)), dim=1)
    torch.manual_seed(2)
    x_BND = nn.functional.dropout(x_BND + weights["position.position_1ND"], dropout)
    expected_BL = model.head(encoder(x_BND)[:, 0])
    torch.manual_seed(2)
    torch.testing.assert_close(model(image_BCHW), expected_BL, rtol=0, atol=1e-10)


def test_one_model_takes_any_batch_size() -> None:
    """Each image's output does not depend on the rest of its batch."""
    model, image_BCHW = randomised(TINY), images(TINY, 5)
    assert model.class_token.token_11D.shape == (1, 1, 8)
    assert model.position.position_1ND.shape == (1, 7, 8)
    logits_BL = model(image_BCHW)
    assert logits_BL.shape == (5, 5)
    for batch in (1, 3):
        torch.testing.assert_close(model(image_BCHW[:batch]), logits_BL[:batch])


@pytest.mark.parametrize(
    "shape", [(2, 8, 12), (2, 3, 8, 12), (2, 2, 12, 8), (2, 2, 8, 16), (1, 2, 2, 8, 12)]
)
@pytest.mark.parametrize("patcher", PATCHERS)
def test_other_images_are_refused(patcher: str, shape: tuple[int, ...]) -> None:
    """An image of other channels, size or rank is refused with both shapes and a remedy."""
    expected = "(batch, channels, height, width) = (any, 2, 8, 12): resize the image or change the"
    message = re.escape(f"image has shape {shape}; expected {expected}")
    with pytest.raises(ValueError, match=message):
        ViT(replace(TINY, patcher=patcher))(torch.zeros(shape))


def test_dropout_acts_in_training_only() -> None:
    """Two calls differ in training and agree in evaluation."""
    model, image_BCHW = randomised(replace(TINY, dropout=0.5)), images(TINY, 2)
    assert not torch.equal(model.train()(image_BCHW), model(image_BCHW))
    assert torch.equal(model.eval()(image_BCHW), model(image_BCHW))


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ("linear", ["norm LayerNorm", "classify Linear"]),
        ("mlp", ["norm LayerNorm", "hidden Linear", "gelu GELU", "classify Linear"]),
    ],
)
def test_head(head: str, layers: list[str]) -> None:
    """Each head has its layers in order: the paper's fine-tuning head, the article's."""
    built = build_head(replace(TINY, head=head)).named_children()
    assert [f"{name} {type(layer).__name__}" for name, layer in built] == layers


@pytest.mark.parametrize(("patcher", "attention"), ARMS)
def test_first_weights(patcher: str, attention: str) -> None:
    """Every arm has Xavier uniform weights, zero biases and class token, positions N(0, 0.02)."""
    torch.manual_seed(0)
    sizes = ViTConfig(image_size=64, width=64, depth=1, heads=4)
    model = ViT(replace(sizes, patcher=patcher, attention=attention))
    weights = canonical(model.state_dict())
    positions_1ND = weights.pop("position.position_1ND")
    assert positions_1ND.std().item() == pytest.approx(0.02, rel=0.1)
    for name, value in weights.items():
        if "norm.weight" in name:
            assert torch.equal(value, torch.ones_like(value))
        elif name.endswith(".weight"):
            bound = math.sqrt(6 / sum(value.shape))
            assert 0.98 * bound < value.abs().max().item() <= bound
        else:
            assert not value.any()
