"""bench.arms.drawn_weights: every weight is drawn once, from the distribution that is named."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bench.arms.drawn_weights import DRAWS, WithoutDraws, draw_weights
from vitcore.config import ATTENTIONS, PATCHERS, ViTConfig
from vitcore.model import ViT


def small(**changes: Any) -> ViTConfig:
    """Return the config of a small model."""
    sizes = {"image_size": 32, "patch_size": 16, "width": 64, "depth": 2, "heads": 4}
    return ViTConfig(**{**sizes, "mlp_width": 128, "num_classes": 10, **changes})


class Count(TorchFunctionMode):
    """Count the numbers that are drawn."""

    drawn = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count those of one call."""
        if func in DRAWS:
            self.drawn += (args[0] if args else (kwargs or {})["tensor"]).numel()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("patcher", PATCHERS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_weight_is_drawn_once(patcher: str, attention: str) -> None:
    """No constructor draws, and afterwards every parameter has been drawn, none twice."""
    with Count() as built, WithoutDraws():
        model = ViT(small(patcher=patcher, attention=attention))
    with Count() as found:
        draw_weights(model)
    assert built.drawn == 0
    assert found.drawn == sum(each.numel() for each in model.parameters())


def test_constructors_draw_twice() -> None:
    """What the mode is for: the constructors of a model draw every matrix twice."""
    with Count() as found:
        model = ViT(small(attention="sdpa"))
    matrices = sum(each.numel() for each in model.parameters() if each.dim() == 2)
    assert found.drawn > 2 * matrices


def test_constants_stay() -> None:
    """Norms are made as without the mode, and a call with keywords is left out, too."""
    with WithoutDraws():
        norm = nn.LayerNorm(8)
        kept = torch.zeros(3)
        nn.init.normal_(tensor=kept)
    assert torch.equal(norm.weight, torch.ones(8))
    assert torch.equal(norm.bias, torch.zeros(8))
    assert torch.equal(kept, torch.zeros(3))


def test_the_distributions() -> None:
    """Matrices lie within Xavier's bound and fill it; scales are near 1, biases near 0."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(300, 100), nn.LayerNorm(1000))
    draw_weights(layers)
    weight, bias, scale, shift = (each.detach() for each in layers.parameters())
    bound = math.sqrt(6 / (300 + 100))
    assert weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert layers[0].weight.requires_grad
    for found, constant in ((bias, 0.0), (scale, 1.0), (shift, 0.0)):
        assert float(found.mean()) == pytest.approx(constant, abs=0.01)
        assert float(found.std()) == pytest.approx(0.02, rel=0.2)
