"""What a ViT costs, from its config alone: parameters and floating-point operations.

One multiply-accumulate (MAC) is two FLOPs. Counted are the matrix products, as the literature
does; normalisation, softmax, GELU and additions are left out (under 1 % in the table's variants).
"""

from dataclasses import dataclass

from vitcore.config import ViTConfig


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, and MACs of one image's forward pass."""

    parameters: int
    macs: int

    @property
    def flops(self) -> int:
        """Floating-point operations of one image's forward pass."""
        return 2 * self.macs

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(parameters=self.parameters + other.parameters, macs=self.macs + other.macs)

    def __mul__(self, times: int) -> "Cost":
        return Cost(parameters=self.parameters * times, macs=self.macs * times)


def linear(rows: int, inputs: int, outputs: int) -> Cost:
    """Cost of a Linear layer with bias, applied to ``rows`` vectors."""
    return Cost(parameters=(inputs + 1) * outputs, macs=rows * inputs * outputs)


def norm(config: ViTConfig) -> Cost:
    """Cost of a LayerNorm: a scale and a shift for each of D values."""
    return Cost(parameters=2 * config.width, macs=0)


def patcher(config: ViTConfig) -> Cost:
    """Cost of the projection of all patches."""
    return linear(config.patches, config.patch_values, config.width)


def embedding(config: ViTConfig) -> Cost:
    """Cost of class token and position embedding."""
    return Cost(parameters=(1 + config.tokens) * config.width, macs=0)


def attention(config: ViTConfig) -> Cost:
    """Cost of one multi-head self-attention: projections, scores, weighted sum."""
    products = Cost(parameters=0, macs=2 * config.tokens**2 * config.width)
    into = linear(config.tokens, config.width, 3 * config.width)
    return into + products + linear(config.tokens, config.width, config.width)


def mlp(config: ViTConfig) -> Cost:
    """Cost of one MLP."""
    expand = linear(config.tokens, config.width, config.mlp_width)
    return expand + linear(config.tokens, config.mlp_width, config.width)


def block(config: ViTConfig) -> Cost:
    """Cost of one encoder block."""
    return norm(config) + attention(config) + norm(config) + mlp(config)


def head(config: ViTConfig) -> Cost:
    """Cost of the classification head, which sees one token."""
    hidden = linear(1, config.width, config.width) if config.head == "mlp" else linear(0, 0, 0)
    return norm(config) + hidden + linear(1, config.width, config.num_classes)


def model(config: ViTConfig) -> Cost:
    """Cost of the whole model."""
    return patcher(config) + embedding(config) + block(config) * config.depth + head(config)
