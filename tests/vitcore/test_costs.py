"""vitcore.costs: exact numbers, against published ones and against what PyTorch counts."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitcore import EncoderBlock, Mlp, ViT, ViTConfig, build_attention, build_patcher, costs
from vitcore.config import ATTENTIONS, HEADS, PATCHERS
from vitcore.costs import Cost
from vitcore.model import build_head

# torchvision's published parameters and GMAC at 224 pixels.
PUBLISHED = {
    "B/16": (86_567_656, "17.564"),
    "B/32": (88_224_232, "4.409"),
    "L/16": (304_326_632, "61.555"),
    "L/32": (306_535_400, "15.378"),
    "H/14": (632_045_800, "167.295"),
}
# "Paper Walkthrough: Vision Transformer (ViT)", M. Ardi: ViT-Base for 10 classes.
ARTICLE = ViTConfig(num_classes=10, head="mlp")

Builder = Callable[[ViTConfig], nn.Module]
COMPONENTS: dict[str, tuple[Callable[[ViTConfig], Cost], Builder]] = {
    "patcher": (costs.patcher, build_patcher),
    "attention": (costs.attention, build_attention),
    "mlp": (costs.mlp, Mlp),
    "block": (costs.block, EncoderBlock),
    "head": (costs.head, build_head),
    "model": (costs.model, ViT),
}


@st.composite
def configs(draw: st.DrawFn) -> ViTConfig:
    """Draw small sizes and any arm."""
    size, rows, columns, heads = (draw(st.integers(1, 3)) for _ in range(4))
    return ViTConfig(
        image_size=(rows * size, columns * size),
        patch_size=size,
        channels=draw(st.integers(1, 3)),
        width=heads * draw(st.integers(1, 4)),
        depth=draw(st.integers(1, 3)),
        heads=heads,
        mlp_width=draw(st.integers(1, 9)),
        num_classes=draw(st.integers(1, 5)),
        head=draw(st.sampled_from(HEADS)),
        patcher=draw(st.sampled_from(PATCHERS)),
        attention=draw(st.sampled_from(ATTENTIONS)),
    )


def input_shape(component: str, config: ViTConfig) -> tuple[int, ...]:
    """Shape of what a component sees of one image."""
    if component in ("patcher", "model"):
        return config.channels, *config.image_hw
    return (config.width,) if component == "head" else (config.tokens, config.width)


def count(component: str, config: ViTConfig, batch: int) -> Cost:
    """Let PyTorch count a built component, in train mode, without the fast path.

    Without memory attention is plain products; torch 2.9 does not know the CPU's fused kernel.
    """
    with torch.device("meta"):
        module = COMPONENTS[component][1](config)
        x = torch.zeros(batch, *input_shape(component, config))
    with FlopCounterMode(display=False) as counter:
        module(x)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Cost(parameters=parameters, macs=counter.get_total_flops() // 2 // batch)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name: str) -> None:
    """Each variant has its published parameters and multiply-accumulates."""
    cost = costs.model(ViTConfig.from_name(name))
    assert (cost.parameters, f"{cost.macs / 1e9:.3f}") == PUBLISHED[name]
    assert cost.flops == 2 * cost.macs


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_as_built(name: str) -> None:
    """Each variant, built without memory, has the parameters and FLOPs of the arithmetic."""
    config = ViTConfig.from_name(name)
    assert count("model", config, 1) == costs.model(config)


def test_articles_model() -> None:
    """The article's model has 86,396,938 parameters, part by part."""
    parts = (costs.patcher, costs.embedding, costs.norm, costs.attention, costs.mlp, costs.head)
    parameters = [part(ARTICLE).parameters for part in parts]
    assert parameters == [590_592, 152_064, 1_536, 2_362_368, 4_722_432, 1_536 + 590_592 + 7_690]
    assert costs.model(ARTICLE).parameters == 86_396_938


@pytest.mark.parametrize("component", COMPONENTS)
@given(config=configs(), batch=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_components_as_built(component: str, config: ViTConfig, batch: int) -> None:
    """Parameters and FLOPs of any small model and of its parts are exactly what PyTorch counts."""
    assert count(component, config, batch) == COMPONENTS[component][0](config)


@given(config=configs())
def test_parts_add_up(config: ViTConfig) -> None:
    """A block is the sum of its parts, and a model that of its blocks and ends."""
    norms = costs.norm(config) * 2
    block = norms + costs.attention(config) + costs.mlp(config)
    assert block == costs.block(config)
    ends = costs.patcher(config) + costs.embedding(config) + costs.head(config)
    assert ends + block * config.depth == costs.model(config)
