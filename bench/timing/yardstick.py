"""The yardstick: one plain encoder block, timed next to every comparison.

Histories are ratios to it, so that a faster machine does not look like a faster model. It is
frozen: it uses nothing of vitcore and is never optimised, since a change would break every history.

Axes: B batch, N tokens, D token width.
"""

from functools import cache
from statistics import median

import torch
from torch import Tensor, nn

from bench.timing.clocks import clock_for
from bench.timing.rounds import timed, without_collector

_CALLS = 3
# ViT-B/16 on one image of 224 x 224 pixels.
_TOKENS, _WIDTH, _HEADS, _MLP_WIDTH = 197, 768, 12, 3072


class Yardstick(nn.Module):
    """Pre-norm encoder block: x_BND -> x_BND, with nn.MultiheadAttention's default arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_0 = nn.LayerNorm(_WIDTH)
        self.multihead_attention = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.norm_1 = nn.LayerNorm(_WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(_WIDTH, _MLP_WIDTH), nn.GELU(), nn.Linear(_MLP_WIDTH, _WIDTH)
        )

    def forward(self, x_BND: Tensor) -> Tensor:
        """Apply attention and MLP, each to its normalised input and added to the input."""
        normed_BND = self.norm_0(x_BND)
        attended_BND, _ = self.multihead_attention(normed_BND, normed_BND, normed_BND)
        x_BND = x_BND + attended_BND
        more_BND: Tensor = self.mlp(self.norm_1(x_BND))
        return x_BND + more_BND


@cache
def _ready(device: str) -> tuple[Yardstick, Tensor]:
    """Return the block and its input, the same in every process, made once."""
    with torch.random.fork_rng([0] if device == "cuda" else []):
        torch.manual_seed(0)
        block = Yardstick().eval()
        x_BND = torch.randn(1, _TOKENS, _WIDTH)
    return block.to(device), x_BND.to(device)


def yardstick_s(device: str) -> float:
    """Return the seconds of one call in float32: the median of three after a warm-up call."""
    block, x_BND = _ready(device)
    clock = clock_for(device)
    with torch.inference_mode(), without_collector():
        block(x_BND)
        return median(timed(lambda: block(x_BND), clock) for _ in range(_CALLS))
