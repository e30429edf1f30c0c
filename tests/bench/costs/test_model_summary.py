"""Model summary: the article's walk step by step, and FLOPs beside torchinfo's table."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.costs.model_summary import shapes, steps, summary
from vitcore.config import ViTConfig
from vitcore.model import ViT

# The article's walk: each step with its shape, for one image.
ARTICLE = [
    ("image", "1×3×224×224"),
    ("patcher.unfold", "1×768×196"),
    ("patcher.permute", "1×196×768"),
    ("patcher.projection", "1×196×768"),
    ("class_token", "1×197×768"),
    ("position", "1×197×768"),
    ("blocks.0.attention.norm", "1×197×768"),
    ("blocks.0.attention.branch", "1×197×768"),
    ("blocks.0.attention", "1×197×768"),
    ("blocks.0.mlp.norm", "1×197×768"),
    ("blocks.0.mlp.branch.expand", "1×197×3072"),
    ("blocks.0.mlp.branch.gelu", "1×197×3072"),
    ("blocks.0.mlp.branch.dropout", "1×197×3072"),
    ("blocks.0.mlp.branch.contract", "1×197×768"),
    ("blocks.0.mlp", "1×197×768"),
    ("blocks.0", "1×197×768"),
    ("blocks.11", "1×197×768"),
    ("first_token", "1×768"),
    ("head.norm", "1×768"),
    ("head.hidden", "1×768"),
    ("head.gelu", "1×768"),
    ("head.classify", "1×10"),
]


def test_the_walk_is_the_articles() -> None:
    """The walk has every step of the article in order, with its shape."""
    config = ViTConfig.from_name("B/16", patcher="unfold", head="mlp", num_classes=10)
    walked = [(name, shape) for name, _, shape in shapes(config, batch_size=1)]
    places = [walked.index(step) for step in ARTICLE]
    assert places == sorted(places)


def test_the_conv_patcher_shows_its_own_steps() -> None:
    """The walk of the conv patcher has feature map, flattened and permuted tensors."""
    walked = shapes(ViTConfig.from_name("B/16", patcher="conv"), batch_size=2)
    steps_of_patcher = [(name, shape) for name, _, shape in walked if name.startswith("patcher.")]
    assert steps_of_patcher == [
        ("patcher.projection", "2×768×14×14"),
        ("patcher.flatten", "2×768×196"),
        ("patcher.permute", "2×196×768"),
    ]


@pytest.mark.parametrize("attention", ["mha", "mha_weights", "manual", "sdpa"])
def test_every_attention_can_be_walked(attention: str) -> None:
    """The walk shows the inside of a block for every attention."""
    config = ViTConfig.from_name("B/32", attention=attention)
    assert ("blocks.0.attention.branch", "1×50×768") in [
        (name, shape) for name, _, shape in shapes(config, batch_size=1)
    ]


def test_equal_blocks_are_opened_once() -> None:
    """Eleven of twelve equal blocks have one line each; block 10 is not taken for block 1."""
    with torch.device("meta"):
        names = [name for name, _ in steps(ViT(ViTConfig.from_name("B/16")))]
    assert "blocks.0.mlp.norm" in names
    assert {name for name in names if name.startswith("blocks.1")} == {
        "blocks.1",
        "blocks.10",
        "blocks.11",
    }


def test_the_summary_has_the_layers_and_the_right_flops() -> None:
    """Below torchinfo's table the totals agree with FlopCounterMode."""
    config = ViTConfig.from_name("B/16")
    text = summary(config, batch_size=2, depth=2)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        ViT(config)(torch.empty(2, 3, 224, 224))
    total = next(line for line in text.splitlines() if line.startswith("whole model"))
    assert total.split()[-3:] == ["86,567,656", "35.128", f"{counter.get_total_flops() / 1e9:.3f}"]
    assert "EncoderBlock (11)" in text
    assert "Conv2d (projection)" in text
    assert "Total mult-adds" not in text
