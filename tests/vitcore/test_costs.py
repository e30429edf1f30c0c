"""vitcore.costs: exact counts, against published ones and PyTorch's own."""

from collections.abc import Callable
from functools import partial
from itertools import groupby

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitcore import EncoderBlock, Mlp, ViT, ViTConfig, build_attention, build_patcher, costs
from vitcore.config import ATTENTIONS, HEADS, PATCHERS
from vitcore.costs import Core, Cost, Product
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
    """Shape of a component's input for one image."""
    if component in ("patcher", "model"):
        return config.channels, *config.image_hw
    return (config.width,) if component == "head" else (config.tokens, config.width)


def count(
    component: str, config: ViTConfig, batch: int, *, backward: bool = False
) -> tuple[int, int]:
    """Count with PyTorch a component's parameters and the MACs of one image.

    Train mode avoids the fast path; ``backward`` adds the backward pass.

    On the meta device attention is plain products: torch 2.9 cannot count the CPU's fused kernel.
    """
    with torch.device("meta"):
        module = COMPONENTS[component][1](config)
        x = torch.zeros(batch, *input_shape(component, config))
    with FlopCounterMode(display=False) as counter:
        out: torch.Tensor = module(x)
        if backward:
            out.sum().backward()
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return parameters, counter.get_total_flops() // 2 // batch


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name: str) -> None:
    """Each variant has its published parameters and multiply-accumulates."""
    cost = costs.model(ViTConfig.from_name(name))
    assert (cost.parameters, f"{cost.macs / 1e9:.3f}") == PUBLISHED[name]
    assert cost.flops == 2 * cost.macs


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_as_built(name: str) -> None:
    """Each variant, built on the meta device, has the arithmetic's parameters and FLOPs."""
    config = ViTConfig.from_name(name)
    cost = costs.model(config)
    assert count("model", config, 1) == (cost.parameters, cost.macs)


def test_articles_model() -> None:
    """The article's model has 86,396,938 parameters, part by part."""
    parts = (costs.patcher, costs.embedding, costs.norm, costs.attention, costs.mlp, costs.head)
    parameters = [part(ARTICLE).parameters for part in parts]
    assert parameters == [590_592, 152_064, 1_536, 2_362_368, 4_722_432, 1_536 + 590_592 + 7_690]
    assert costs.model(ARTICLE).parameters == 86_396_938


@pytest.mark.parametrize("component", COMPONENTS)
@given(config=configs(), batch=st.integers(1, 3))
@settings(deadline=None)
def test_components_as_built(component: str, config: ViTConfig, batch: int) -> None:
    """PyTorch counts the same parameters and FLOPs for any small model and its parts."""
    cost = COMPONENTS[component][0](config)
    assert count(component, config, batch) == (cost.parameters, cost.macs)


@pytest.mark.parametrize("component", costs.COMPONENTS)
@given(config=configs(), batch=st.integers(1, 3))
@settings(deadline=None)
def test_training_as_built(component: str, config: ViTConfig, batch: int) -> None:
    """PyTorch counts the same FLOPs of forward and backward, below three times forward."""
    _, macs = count(component, config, batch, backward=True)
    assert costs.training_macs(config, component) == macs
    saved = costs.cost_of(config, component).macs * 3 - macs
    assert saved == {
        "patcher": config.patches * config.patch_values * config.width,
        "attention": config.tokens * 3 * config.width**2,
        "block": 0,
        "model": config.patches * config.patch_values * config.width,
    }.get(component)


@given(config=configs())
def test_parts_add_up(config: ViTConfig) -> None:
    """A block is the sum of its parts, a model that of its blocks and ends."""
    ends = (costs.norm(config) + costs.residual(config)) * 2
    block = ends + costs.attention(config) + costs.mlp(config)
    assert block == costs.block(config)
    ends = costs.patcher(config) + costs.embedding(config) + costs.head(config)
    assert ends + block * config.depth == costs.model(config)


@pytest.mark.parametrize("component", costs.COMPONENTS)
@given(config=configs())
def test_products_make_up_the_macs(component: str, config: ViTConfig) -> None:
    """Linear products and attention cores add up to all MACs."""
    found = costs.products(config, component)
    cores = [product for product in found if isinstance(product, Core)]
    depth = {"patcher": 0, "attention": 1, "block": 1, "model": config.depth}[component]
    assert sum(core.count for core in cores) == depth
    assert sum(core.macs for core in cores) == (costs.attention_core(config) * depth).macs
    assert sum(product.macs for product in found) == costs.cost_of(config, component).macs


@pytest.mark.parametrize("component", costs.COMPONENTS)
@given(config=configs())
@settings(deadline=None)
def test_products_are_those_of_the_layers(component: str, config: ViTConfig) -> None:
    """The Linear products have the sizes of the built projections, in order."""
    with torch.device("meta"):
        module = COMPONENTS[component][1](config)
    weights = [
        tuple(reversed(parameter.flatten(1).shape))
        for name, parameter in module.named_parameters()
        if parameter.dim() > 1 and "position" not in name and "token" not in name
    ]
    groups = [
        list(group) for _, group in groupby(costs.products(config, component), lambda p: p.count)
    ]
    in_turn = [each for group in groups for each in group * group[0].count]
    linears = [each for each in in_turn if isinstance(each, Product)]
    assert [(each.inputs, each.outputs) for each in linears] == weights


def test_products_of_a_model() -> None:
    """B/16: the patches' projection, twelve times a block's five, and the head's single row."""
    found = costs.products(ViTConfig.from_name("B/16"), "model")
    assert found == (
        Product(rows=196, inputs=768, outputs=768),
        Product(rows=197, inputs=768, outputs=2304, count=12),
        Core(tokens=197, heads=12, head_width=64, count=12),
        Product(rows=197, inputs=768, outputs=768, count=12),
        Product(rows=197, inputs=768, outputs=3072, count=12),
        Product(rows=197, inputs=3072, outputs=768, count=12),
        Product(rows=1, inputs=768, outputs=1000),
    )


def test_values_moved_by_hand() -> None:
    """B/16: values into and out of every kernel, counted by hand in multiples of N x D."""
    config = ViTConfig.from_name("B/16")
    token_values = 197 * 768
    # Projections 1 + 3 and 1 + 1, core 3 + 1.
    assert costs.attention(config).values == 10 * token_values
    # Linear, GELU 1 + 4 and Linear 4 + 1.
    assert costs.mlp(config).values == 10 * token_values
    # Twice a norm, 1 + 1, and the residual.
    assert costs.block(config).values == 26 * token_values
    # An image of 224 x 224 in three colours, a token for each of its patches.
    assert costs.patcher(config).values == 3 * 224 * 224 + 196 * 768
    # The class token is written; norm and Linear of the head see it alone.
    ends = costs.patcher(config).values + 768 + 2 * 768 + 768 + 1000
    assert costs.model(config).values == 12 * 26 * token_values + ends


@pytest.mark.parametrize(
    ("component", "parameters", "values"),
    [
        # Three times the values of forward, less those of its first Linear.
        ("patcher", 2 * 590_592, 2 * 301_056),
        ("attention", 3 * 2_362_368 - 1_771_776, (30 - 4) * 151_296),
        ("block", 3 * 7_087_872, 78 * 151_296),
    ],
)
def test_bytes_moved_by_hand(component: str, parameters: int, values: int) -> None:
    """Training moves three times forward's bytes, less the input gradient of the first Linear."""
    config = ViTConfig.from_name("B/16")
    moved = partial(
        costs.moved_bytes, config, component, mode="train", parameter_bytes=4, value_bytes=2
    )
    assert moved(batch_size=8) == 4 * parameters + 8 * 2 * values
    once = costs.cost_of(config, component).parameters
    assert moved(batch_size=8, optimizer_passes=7) - moved(batch_size=8) == 7 * 4 * once


@given(config=configs(), batch=st.integers(1, 9))
def test_forward_moves_parameters_once_and_values_for_each_image(
    config: ViTConfig, batch: int
) -> None:
    """A larger batch moves more values and no more parameters; no optimizer runs."""
    cost = costs.model(config)
    moved = partial(
        costs.moved_bytes,
        config,
        "model",
        mode="forward",
        parameter_bytes=4,
        value_bytes=2,
        optimizer_passes=7,
    )
    assert moved(batch_size=batch) == 4 * cost.parameters + 2 * batch * cost.values


def test_unknown_names_list_the_known_ones() -> None:
    """The error of an unknown component or mode lists the known ones."""
    config = ViTConfig()
    unknown = r"unknown component 'mlp'; known: patcher, attention, block, model"
    for function in (costs.cost_of, costs.training_macs, costs.products, costs.without_gradient):
        with pytest.raises(ValueError, match=unknown):
            function(config, "mlp")
    with pytest.raises(ValueError, match="unknown mode 'predict'; known: forward, train"):
        costs.moved_bytes(
            config, "model", batch_size=1, mode="predict", parameter_bytes=4, value_bytes=4
        )
