"""Summary of a model: torchinfo's layer table with correct FLOPs, and the shapes of each step."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from bench.report.units import digits
from vitcore import costs
from vitcore.config import ViTConfig
from vitcore.model import ViT


def build(config: ViTConfig) -> ViT:
    """Build a model on the meta device: shapes and counts need no data."""
    with torch.device("meta"):
        return ViT(config).eval()


def image(config: ViTConfig, batch_size: int) -> Tensor:
    """Return an image_BCHW of a config's size on the meta device."""
    return torch.empty(batch_size, config.channels, *config.image_hw, device="meta")


def summary(config: ViTConfig, batch_size: int, depth: int) -> str:
    """Return the layer table to ``depth`` levels, and parameters and FLOPs from arithmetic."""
    import torchinfo

    table = torchinfo.summary(
        build(config),
        input_data=image(config, batch_size),
        depth=depth,
        col_names=("input_size", "output_size", "num_params"),
        row_settings=("var_names",),
        device="meta",
        verbose=0,
    )
    # torchinfo's totals omit attention's products and fused weights; cost_table has them.
    layers = str(table).split("=\nTotal params")[0].rstrip("=\n")
    return f"{layers}\n\n{cost_table(config, batch_size)}"


def cost_table(config: ViTConfig, batch_size: int) -> str:
    """Return parameters and forward FLOPs of each component and of the model, as aligned text."""
    parts = {
        "patcher": costs.patcher(config),
        "class token, positions": costs.embedding(config),
        f"attention x {config.depth}": costs.attention(config) * config.depth,
        f"MLP x {config.depth}": costs.mlp(config) * config.depth,
        f"LayerNorm x {2 * config.depth}": costs.norm(config) * (2 * config.depth),
        f"head ({config.head})": costs.head(config),
        "whole model": costs.model(config),
    }
    lines = [f"{'part':<24}{'parameters':>14}{'GMAC':>10}{'GFLOP':>10}   (batch {batch_size})"]
    for name, cost in parts.items():
        macs = cost.macs * batch_size / 1e9
        lines.append(f"{name:<24}{cost.parameters:>14,}{macs:>10.3f}{2 * macs:>10.3f}")
    return "\n".join(lines)


def shape_text(value: object) -> str:
    """Return the sizes of a tensor's axes, separated by crosses."""
    return "×".join(map(str, value.shape)) if isinstance(value, Tensor) else "?"


def steps(model: ViT) -> list[tuple[str, nn.Module]]:
    """Return the modules in order; of the equal blocks only the first in detail."""

    def shown(name: str) -> bool:
        closed = [f"blocks.{index}." for index in range(1, model.config.depth)]
        return bool(name) and not any(name.startswith(block) for block in closed)

    return [(name, module) for name, module in model.named_modules() if shown(name)]


def shapes(config: ViTConfig, batch_size: int) -> list[tuple[str, str, str]]:
    """Return name, class and output shape of each module, in the order in which they finish.

    Forward hooks record the shapes; the model's code stays unchanged.
    """
    model = build(config)
    seen: list[tuple[str, str, str]] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, _inputs: object, output: object) -> None:
            value = output[0] if isinstance(output, tuple) else output
            seen.append((name, type(module).__name__, shape_text(value)))

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in steps(model)]
    x_BCHW = image(config, batch_size)
    with torch.no_grad():
        model(x_BCHW)
    for handle in handles:
        handle.remove()
    return [("image", "", shape_text(x_BCHW)), *seen]


def shape_table(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return the rows of ``shapes`` as aligned text."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{n:<{widths[0]}}  {m:<{widths[1]}}  {shape}" for n, m, shape in rows)


def size_line(config: ViTConfig) -> str:
    """Return one line with a model's parameters and GMAC."""
    cost = costs.model(config)
    return f"{digits(cost.parameters / 1e6)} M parameters, {digits(cost.macs / 1e9, 4)} GMAC"
