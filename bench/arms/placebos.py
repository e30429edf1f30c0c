"""Build the placebos of ``bench.suite.placebos`` around parts of a model, with the parts' weights.

Each wraps the part that it replaces, calls the same kernels on the same shapes and strides, and
holds no parameters but that part's.

Axes: B batch, C channels, H and W image rows and columns, N tokens, R tokens of all images, D token
width, A heads, K head width, F features.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.records.comparison import Arm
from bench.suite.placebos import extra_features
from vitcore.blocks import NORM_EPS
from vitcore.config import known
from vitcore.model import ViT


class _Placebo(nn.Module):
    """Base of the placebos: ``part`` is what ``forward`` re-expresses."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part: Any = part


class PatcherFunctions(_Placebo):
    """The convolution of an image_BCHW as a function."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return x_BND."""
        made = self.part.projection
        x_BDhw = F.conv2d(image_BCHW, made.weight, made.bias, stride=made.stride)
        return x_BDhw.view(*x_BDhw.shape[:2], -1).mT


class AttentionFunctions(_Placebo):
    """Projections as functions, queries, keys and values cut apart before the heads are."""

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return what the part does."""
        into, out = self.part.in_proj, self.part.out_proj
        parts_BND = F.linear(x_BND, into.weight, into.bias).chunk(3, dim=-1)
        q, k, v = (each.unflatten(-1, (self.part.heads, -1)).transpose(1, 2) for each in parts_BND)
        out_BANK = F.scaled_dot_product_attention(q, k, v)
        return F.linear(out_BANK.transpose(1, 2).reshape(x_BND.shape), out.weight, out.bias)


class AttentionRows(_Placebo):
    """Projections as matrix products of the tokens of all images."""

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return what the part does."""
        into, out = self.part.in_proj, self.part.out_proj
        batch, tokens, width = x_BND.shape
        x_RD = x_BND.reshape(batch * tokens, width)
        qkv_RF = torch.addmm(into.bias, x_RD, into.weight.t())
        qkv_SBANK = qkv_RF.view(batch, tokens, 3, self.part.heads, -1).permute(2, 0, 3, 1, 4)
        out_BANK = F.scaled_dot_product_attention(qkv_SBANK[0], qkv_SBANK[1], qkv_SBANK[2])
        out_RD = out_BANK.transpose(1, 2).reshape(batch * tokens, width)
        return torch.addmm(out.bias, out_RD, out.weight.t()).view(batch, tokens, width)


class BlockFunctions(_Placebo):
    """Both branches of an encoder block as functions."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__(part)
        self.attend = AttentionFunctions(self.part.attention.branch)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return what the part does."""
        x_BND = x_BND + self.attend(_normed(self.part.attention.norm, x_BND))
        mlp = self.part.mlp.branch
        hidden_BNF = F.gelu(
            F.linear(_normed(self.part.mlp.norm, x_BND), mlp.expand.weight, mlp.expand.bias)
        )
        return x_BND + F.linear(hidden_BNF, mlp.contract.weight, mlp.contract.bias)


def _normed(norm: nn.LayerNorm, x_BND: Tensor) -> Tensor:
    return F.layer_norm(x_BND, x_BND.shape[-1:], norm.weight, norm.bias, NORM_EPS)


class Slower(_Placebo):
    """An attention that projects its input to ``features`` more, and drops them.

    Their weights are a copy of the attention's first rows, since weights read twice would be in the
    cache the second time.
    """

    def __init__(self, part: nn.Module, features: int, *, is_before: bool) -> None:
        super().__init__(part)
        self.is_before = is_before
        rows_FD = self.part.in_proj.weight.detach()[:features].clone()
        self.register_buffer("rows_FD", rows_FD, persistent=False)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return what the part does."""
        if self.is_before:
            F.linear(x_BND, self.get_buffer("rows_FD"))
        out_BND: Tensor = self.part(x_BND)
        if not self.is_before:
            F.linear(x_BND, self.get_buffer("rows_FD"))
        return out_BND


def _wrapped(part: nn.Module) -> nn.Module:
    """Return any part between two layers that do nothing."""
    return nn.Sequential(nn.Identity(), part, nn.Identity())


_Builder = Callable[[nn.Module], nn.Module]
_PATCHERS: Mapping[str, _Builder] = {
    "patcher_functions": PatcherFunctions,
    "patcher_wrapped": _wrapped,
}
_BLOCKS: Mapping[str, _Builder] = {"block_functions": BlockFunctions, "block_wrapped": _wrapped}


def _attentions(model: ViT) -> Mapping[str, _Builder]:
    slower = partial(Slower, features=extra_features(model.config))
    return {
        "attention_functions": AttentionFunctions,
        "attention_rows": AttentionRows,
        "attention_wrapped": _wrapped,
        "attention_slower_before": partial(slower, is_before=True),
        "attention_slower_after": partial(slower, is_before=False),
    }


def put_placebo(model: ViT, name: str) -> None:
    """Replace every part of a kind by a placebo, in place.

    The model has a convolution as patcher, ``sdpa`` as attention, and the weights that the placebo
    is to have. ``none`` leaves it as it is. Raises ValueError for an unknown name.
    """
    if name == Arm.placebo:
        return
    attentions = _attentions(model)
    known("placebo", name, (Arm.placebo, *_PATCHERS, *attentions, *_BLOCKS))
    if name in _PATCHERS:
        model.add_module("patcher", _PATCHERS[name](model.patcher))
    for place, block in enumerate(model.blocks):
        if name in attentions:
            residual = block.get_submodule("attention")
            residual.add_module("branch", attentions[name](residual.get_submodule("branch")))
        elif name in _BLOCKS:
            model.blocks[place] = _BLOCKS[name](block)
