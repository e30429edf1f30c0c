"""Multi-head self-attention, x_BND -> x_BND, by nn.MultiheadAttention, by hand and fused.

Axes: B batch, N tokens, D token width, A heads, K head width (D = A x K), S = 3 for query, key
and value.

Each implementation has an input projection of 3D rows (query, key, value, in this order; heads are
blocks of K rows within each) and an output projection, so one set of weights fits all of them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitcore.config import ViTConfig


class TorchAttention(nn.Module):
    """nn.MultiheadAttention.

    ``need_weights=True`` is what a plain call of nn.MultiheadAttention does: it also returns
    the attention weights, which rules out the fused kernels when gradients are needed.
    """

    def __init__(self, config: ViTConfig, *, need_weights: bool) -> None:
        super().__init__()
        self.heads = config.heads
        self.need_weights = need_weights
        self.mha = nn.MultiheadAttention(config.width, config.heads, batch_first=True)

    def forward(self, x_BND: Tensor) -> Tensor:
        out_BND: Tensor
        out_BND, _ = self.mha(x_BND, x_BND, x_BND, need_weights=self.need_weights)
        return out_BND


class _SplitAttention(nn.Module):
    """Base of the two implementations below: projections, and the split into heads."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.in_proj = nn.Linear(config.width, 3 * config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x_BND: Tensor) -> Tensor:
        qkv_BNSAK = self.in_proj(x_BND).unflatten(2, (3, self.heads, -1))
        q_BANK, k_BANK, v_BANK = qkv_BNSAK.permute(2, 0, 3, 1, 4).unbind(0)
        out_BANK = self.attend(q_BANK, k_BANK, v_BANK)
        out_BND: Tensor = self.out_proj(out_BANK.transpose(1, 2).flatten(2))
        return out_BND

    def attend(self, q_BANK: Tensor, k_BANK: Tensor, v_BANK: Tensor) -> Tensor:
        """Return softmax(q k^T / sqrt(K)) v."""
        raise NotImplementedError


class ManualAttention(_SplitAttention):
    """Attention by hand: matmul, softmax, matmul (Vaswani et al. 2017, equation 1)."""

    def attend(self, q_BANK: Tensor, k_BANK: Tensor, v_BANK: Tensor) -> Tensor:
        scores_BANN = q_BANK @ k_BANK.transpose(-2, -1) / math.sqrt(q_BANK.shape[-1])
        return torch.softmax(scores_BANN, dim=-1) @ v_BANK


class SdpaAttention(_SplitAttention):
    """F.scaled_dot_product_attention: PyTorch picks the kernel."""

    def attend(self, q_BANK: Tensor, k_BANK: Tensor, v_BANK: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q_BANK, k_BANK, v_BANK)


def build_attention(config: ViTConfig) -> nn.Module:
    """Build the attention that the config names."""
    if config.attention in ("mha", "mha_weights"):
        return TorchAttention(config, need_weights=config.attention == "mha_weights")
    return {"manual": ManualAttention, "sdpa": SdpaAttention}[config.attention](config)
