"""The encoder block: two residual branches, attention and MLP, each behind a LayerNorm.

Axes: B batch, N tokens, D token width, M hidden width of the MLP.
"""

from torch import Tensor, nn

from vitcore.attention import build_attention
from vitcore.config import ViTConfig

# As in the paper's own code and in torchvision; PyTorch's default is 1e-5.
NORM_EPS = 1e-6


class Mlp(nn.Module):
    """Linear, GELU, dropout, Linear: x_BND -> x_BND."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.width, config.mlp_width)
        self.gelu = nn.GELU()
        self.dropout = nn.Dropout(config.dropout)
        self.contract = nn.Linear(config.mlp_width, config.width)

    def forward(self, x_BND: Tensor) -> Tensor:
        hidden_BNM = self.dropout(self.gelu(self.expand(x_BND)))
        out_BND: Tensor = self.contract(hidden_BNM)
        return out_BND


class Residual(nn.Module):
    """x + dropout(branch(norm(x))): pre-norm, as in the paper."""

    def __init__(self, config: ViTConfig, branch: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.branch = branch
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BND: Tensor) -> Tensor:
        branch_BND: Tensor = self.branch(self.norm(x_BND))
        if self.training and self.dropout.p > 0:
            # Dropout draws its mask in memory order, and nn.MultiheadAttention returns a transpose.
            branch_BND = branch_BND.contiguous()
        out_BND: Tensor = x_BND + self.dropout(branch_BND)
        return out_BND


class EncoderBlock(nn.Module):
    """Attention, then MLP: x_BND -> x_BND."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.attention = Residual(config, build_attention(config))
        self.mlp = Residual(config, Mlp(config))

    def forward(self, x_BND: Tensor) -> Tensor:
        out_BND: Tensor = self.mlp(self.attention(x_BND))
        return out_BND
