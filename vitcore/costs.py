"""Costs of a ViT from its config: parameters, floating-point operations, values moved.

One multiply-accumulate (MAC) is two FLOPs. As in the literature, only matrix products count;
normalisation, softmax, GELU and additions add less than 1 % in the variants of the table.

Values moved are the activations that a component reads and writes if every Linear, LayerNorm and
attention core is one kernel that reads its input once and writes its output once. GELU, additions
and the split into patches or heads are fused into these kernels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from vitcore.config import ViTConfig, known

MODES = ("forward", "train")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, and of one image's forward pass MACs and activation values moved."""

    parameters: int = 0
    macs: int = 0
    values: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations of one image's forward pass."""
        return 2 * self.macs

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            parameters=self.parameters + other.parameters,
            macs=self.macs + other.macs,
            values=self.values + other.values,
        )

    def __mul__(self, times: int) -> "Cost":
        return Cost(
            parameters=self.parameters * times,
            macs=self.macs * times,
            values=self.values * times,
        )


@dataclass(frozen=True, kw_only=True)
class Product:
    """What ``count`` Linear layers of equal size do: each takes ``rows`` vectors of one image."""

    rows: int
    inputs: int
    outputs: int
    count: int = 1

    @property
    def macs(self) -> int:
        """MACs of all of them."""
        return self.rows * self.inputs * self.outputs * self.count


@dataclass(frozen=True, kw_only=True)
class Core:
    """What ``count`` equal attention cores do: scores of all pairs of tokens, and weighted sums.

    Each of the ``heads`` of one image takes ``tokens`` queries, keys and values of ``head_width``.
    """

    tokens: int
    heads: int
    head_width: int
    count: int = 1

    @property
    def macs(self) -> int:
        """MACs of all of them."""
        return 2 * self.tokens**2 * self.heads * self.head_width * self.count


def linear(rows: int, inputs: int, outputs: int) -> Cost:
    """Cost of a Linear layer with bias, applied to ``rows`` vectors."""
    return Cost(
        parameters=(inputs + 1) * outputs,
        macs=rows * inputs * outputs,
        values=rows * (inputs + outputs),
    )


def norm(config: ViTConfig, rows: int | None = None) -> Cost:
    """Cost of a LayerNorm of ``rows`` vectors, by default all tokens: a scale and a shift for D."""
    rows = config.tokens if rows is None else rows
    return Cost(parameters=2 * config.width, values=2 * rows * config.width)


def patcher(config: ViTConfig) -> Cost:
    """Cost of the projection of all patches: it reads pixels and writes tokens."""
    return linear(config.patches, config.patch_values, config.width)


def embedding(config: ViTConfig) -> Cost:
    """Cost of class token and position embedding, which is added while the patcher writes."""
    return Cost(parameters=(1 + config.tokens) * config.width, values=config.width)


def attention_core(config: ViTConfig) -> Cost:
    """Cost of scores and weighted sum: query, key and value in, one output.

    The scores never leave the cache, as in FlashAttention (Dao et al. 2022).
    """
    values = 4 * config.tokens * config.width
    return Cost(macs=2 * config.tokens**2 * config.width, values=values)


def attention(config: ViTConfig) -> Cost:
    """Cost of one multi-head self-attention: projections, scores, weighted sum."""
    into = linear(config.tokens, config.width, 3 * config.width)
    return into + attention_core(config) + linear(config.tokens, config.width, config.width)


def mlp(config: ViTConfig) -> Cost:
    """Cost of one MLP."""
    expand = linear(config.tokens, config.width, config.mlp_width)
    return expand + linear(config.tokens, config.mlp_width, config.width)


def residual(config: ViTConfig) -> Cost:
    """Cost of adding a branch to its input, which is read once more."""
    return Cost(values=config.tokens * config.width)


def block(config: ViTConfig) -> Cost:
    """Cost of one encoder block."""
    return attention(config) + mlp(config) + (norm(config) + residual(config)) * 2


def head(config: ViTConfig) -> Cost:
    """Cost of the classification head, which sees one token."""
    hidden = linear(1, config.width, config.width) if config.head == "mlp" else Cost()
    return norm(config, rows=1) + hidden + linear(1, config.width, config.num_classes)


def model(config: ViTConfig) -> Cost:
    """Cost of the whole model."""
    return patcher(config) + embedding(config) + block(config) * config.depth + head(config)


COMPONENTS: dict[str, Callable[[ViTConfig], Cost]] = {
    "patcher": patcher,
    "attention": attention,
    "block": block,
    "model": model,
}


def cost_of(config: ViTConfig, component: str) -> Cost:
    """Cost of one of COMPONENTS. Raises ValueError for an unknown one; the message lists them."""
    return COMPONENTS[known("component", component, COMPONENTS)](config)


def without_gradient(config: ViTConfig, component: str) -> Cost:
    """Cost of a component's Linear whose input needs no gradient: backward saves one product.

    It is the first Linear; a block has none, since it begins with a LayerNorm with parameters.
    """
    known("component", component, COMPONENTS)
    if component == "attention":
        return linear(config.tokens, config.width, 3 * config.width)
    return Cost() if component == "block" else patcher(config)


def training_macs(config: ViTConfig, component: str) -> int:
    """MACs of one image's forward and backward pass. Raises ValueError as ``cost_of`` does.

    Backward computes two products for each product of forward, one per operand's gradient
    (Rumelhart, Hinton and Williams 1986).
    """
    return 3 * cost_of(config, component).macs - without_gradient(config, component).macs


def moved_bytes(
    config: ViTConfig,
    component: str,
    *,
    batch_size: int,
    mode: str,
    parameter_bytes: int,
    value_bytes: int,
    optimizer_passes: int = 0,
) -> int:
    """Return the least bytes that a call reads and writes: the traffic of a roofline model.

    Parameters are read once per call. Each product of backward moves as much as its product of
    forward; then the optimizer reads or writes ``optimizer_passes`` numbers per parameter: AdamW
    reads parameter, gradient and two moments and writes all but the gradient (7), SGD with momentum
    reads three and writes two (5). ``parameter_bytes`` and ``value_bytes`` are the sizes of one
    stored parameter and of one activation value. The result is a lower bound unless an activation
    stays in a cache from one kernel to the next (Williams, Waterman and Patterson 2009, "Roofline":
    compulsory traffic). Raises ValueError for an unknown component or mode.
    """

    def moved(cost: Cost) -> int:
        return cost.parameters * parameter_bytes + batch_size * cost.values * value_bytes

    forward = cost_of(config, component)
    if known("mode", mode, MODES) == "forward":
        return moved(forward)
    optimizer_bytes = optimizer_passes * forward.parameters * parameter_bytes
    # LayerNorm's backward moves less than two forwards; GELU's, which reads its input once more,
    # makes up for it where an MLP is at least four times as wide as a token.
    return 3 * moved(forward) - moved(without_gradient(config, component)) + optimizer_bytes


def products(config: ViTConfig, component: str) -> tuple[Product | Core, ...]:
    """Matrix products of one image's forward pass, in order. Raises ValueError as ``cost_of`` does.

    Neighbours of equal ``count`` take turns, as a model's blocks do.
    """
    known("component", component, COMPONENTS)
    tokens, width, hidden = config.tokens, config.width, config.mlp_width
    patches = Product(rows=config.patches, inputs=config.patch_values, outputs=width)
    into = Product(rows=tokens, inputs=width, outputs=3 * width)
    core = Core(tokens=tokens, heads=config.heads, head_width=width // config.heads)
    out = Product(rows=tokens, inputs=width, outputs=width)
    expand = Product(rows=tokens, inputs=width, outputs=hidden)
    contract = Product(rows=tokens, inputs=hidden, outputs=width)
    if component == "patcher":
        return (patches,)
    if component == "attention":
        return into, core, out
    if component == "block":
        return into, core, out, expand, contract
    blocks = (replace(each, count=config.depth) for each in (into, core, out, expand, contract))
    return patches, *blocks, *_head_products(config)


def _head_products(config: ViTConfig) -> tuple[Product, ...]:
    hidden = Product(rows=1, inputs=config.width, outputs=config.width)
    classify = Product(rows=1, inputs=config.width, outputs=config.num_classes)
    return (hidden, classify) if config.head == "mlp" else (classify,)
