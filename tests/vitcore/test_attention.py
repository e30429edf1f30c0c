"""vitcore.attention against a loop over heads and tokens, in the same axis names."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vitcore.attention import build_attention
from vitcore.config import ATTENTIONS, ViTConfig
from vitcore.weights import canonical


def randomised(config: ViTConfig) -> nn.Module:
    """Build a float64 attention with random weights and biases."""
    torch.manual_seed(0)
    module = build_attention(config).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def attend(q_NK: Tensor, k_NK: Tensor, v_NK: Tensor) -> Tensor:
    """Attend from each token of one head to all tokens, one token at a time."""
    out_NK = torch.empty_like(q_NK)
    for token, q_K in enumerate(q_NK):
        scores_N = torch.stack([(q_K * k_K).sum() / math.sqrt(len(q_K)) for k_K in k_NK])
        weights_N = torch.exp(scores_N - scores_N.max())
        out_NK[token] = (weights_N / weights_N.sum()) @ v_NK
    return out_NK


def oracle(module: nn.Module, heads: int, x_BND: Tensor) -> Tensor:
    """Compute one image and one head at a time and concatenate the heads' outputs."""
    weights = canonical({name: value.detach() for name, value in module.named_parameters()})
    out_BND = torch.empty_like(x_BND)
    for image, x_ND in enumerate(x_BND):
        qkv_NR = x_ND @ weights["in_proj.weight"].T + weights["in_proj.bias"]
        q_ND, k_ND, v_ND = qkv_NR.chunk(3, dim=1)
        split = (each_ND.chunk(heads, dim=1) for each_ND in (q_ND, k_ND, v_ND))
        together_ND = torch.cat([attend(*qkv) for qkv in zip(*split, strict=True)], dim=1)
        out_BND[image] = together_ND @ weights["out_proj.weight"].T + weights["out_proj.bias"]
    return out_BND


def example(heads: int, head_width: int, name: str) -> ViTConfig:
    """Build the config of one attention; the image's sizes have no effect."""
    return ViTConfig(width=heads * head_width, heads=heads, attention=name)


@pytest.mark.parametrize("name", ATTENTIONS)
@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 4), training=st.booleans(), with_gradients=st.booleans()
)
@settings(deadline=None)
def test_attention_equals_a_loop_over_heads(
    name: str, sizes: tuple[int, ...], *, training: bool, with_gradients: bool
) -> None:
    """Every attention is softmax(q k^T / sqrt(K)) v, in train and eval mode, on any kernel."""
    batch, tokens, heads, head_width = sizes
    module = randomised(example(heads, head_width, name)).train(training)
    x_BND = torch.randn(batch, tokens, heads * head_width, dtype=torch.float64)
    with torch.set_grad_enabled(with_gradients):
        out_BND = module(x_BND)
    torch.testing.assert_close(out_BND.detach(), oracle(module, heads, x_BND), rtol=0, atol=1e-12)
