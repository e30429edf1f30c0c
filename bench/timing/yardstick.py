"""The yardstick: one plain encoder block, timed among the rounds of every comparison.

Histories are ratios to it, so that a faster machine does not look like a faster model. It is
frozen: it uses nothing of vitcore and is never optimised, since a change would break every history.

Axes: B batch, N tokens, D token width.
"""

import time
from collections.abc import Callable
from functools import cache
from statistics import median

import torch
from torch import Tensor, nn

from bench.timing.clocks import clock_for
from bench.timing.rounds import timed, without_collector

_LEAST_CALLS = 3
# Seconds between two calls among the rounds: they take about a hundredth of the time.
_EVERY_S = 3.0
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


class YardstickTimes:
    """Times of the yardstick among the rounds of a group, in float32; ``now_s`` is a clock."""

    def __init__(self, device: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._device, self._now_s = device, now_s
        self._times_s: list[float] = []
        self._last_s = now_s()

    def between_rounds(self) -> None:
        """Time a call, unless the last one was a moment ago."""
        if self._now_s() - self._last_s >= _EVERY_S:
            self._times_s.append(self._call_s())
            self._last_s = self._now_s()

    def median_s(self) -> float:
        """Return the median of at least three calls; those that are lacking are made now."""
        while len(self._times_s) < _LEAST_CALLS:
            self._times_s.append(self._call_s())
        return median(self._times_s)

    def _call_s(self) -> float:
        """Return the seconds of a call, after one that makes its weights as warm as every time."""
        block, x_BND = _ready(self._device)
        with torch.inference_mode(), without_collector():
            block(x_BND)
            return timed(lambda: block(x_BND), clock_for(self._device))
