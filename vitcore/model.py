"""The whole model: image_BCHW -> logits_BL.

Axes: B batch, C channels, H and W image rows and columns, N tokens, D token width, L classes.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from vitcore.blocks import NORM_EPS, EncoderBlock
from vitcore.config import ViTConfig
from vitcore.patchers import build_patcher


class ClassToken(nn.Module):
    """Put one learned token before the patches; it expands to any batch size."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.token_11D = nn.Parameter(torch.zeros(1, 1, config.width))

    def forward(self, x_BND: Tensor) -> Tensor:
        token_B1D = self.token_11D.expand(len(x_BND), -1, -1)
        return torch.cat((token_B1D, x_BND), dim=1)


class PositionEmbedding(nn.Module):
    """Add a learned vector for each position."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.position_1ND = nn.Parameter(torch.zeros(1, config.tokens, config.width))

    def forward(self, x_BND: Tensor) -> Tensor:
        return x_BND + self.position_1ND


class FirstToken(nn.Module):
    """Keep the class token: x_BND -> x_BD."""

    def forward(self, x_BND: Tensor) -> Tensor:
        return x_BND[:, 0]


def build_head(config: ViTConfig) -> nn.Sequential:
    """LayerNorm and Linear (``linear``), or LayerNorm, Linear, GELU, Linear (``mlp``)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["norm"] = nn.LayerNorm(config.width, eps=NORM_EPS)
    if config.head == "mlp":
        layers["hidden"] = nn.Linear(config.width, config.width)
        layers["gelu"] = nn.GELU()
    layers["classify"] = nn.Linear(config.width, config.num_classes)
    return nn.Sequential(layers)


def initialise(module: nn.Module) -> None:
    """Initialise the weights of one module: Xavier uniform, zero bias; positions N(0, 0.02^2)."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, PositionEmbedding):
        nn.init.normal_(module.position_1ND, std=0.02)


class ViT(nn.Module):
    """Vision Transformer (Dosovitskiy et al. 2020): patches, tokens, encoder blocks, head."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patcher = build_patcher(config)
        self.class_token = ClassToken(config)
        self.position = PositionEmbedding(config)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*(EncoderBlock(config) for _ in range(config.depth)))
        self.first_token = FirstToken()
        self.head = build_head(config)
        self.apply(initialise)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BL. Raises ValueError for an image whose size is not the config's."""
        x_BND = self.class_token(self.patcher(image_BCHW))
        x_BND = self.dropout(self.position(x_BND))
        x_BND = self.blocks(x_BND)
        logits_BL: Tensor = self.head(self.first_token(x_BND))
        return logits_BL
