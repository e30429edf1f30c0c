"""``vitbench summary`` and ``vitbench shapes``: a model's layers, and the shape after each step."""

from typing import Any

import click

from bench.cli.options import pixels
from bench.records.errors import InputError

_SIZE = click.IntRange(1, 10**6)
_MODEL_OPTIONS = (
    click.argument("variant"),
    click.option("--patcher", default="conv", show_default=True),
    click.option("--attention", default="sdpa", show_default=True),
    click.option("--head", default="linear", show_default=True),
    click.option("--classes", "num_classes", type=_SIZE, default=1000, show_default=True),
    click.option("--image-size", type=pixels, default="224", show_default=True),
    click.option("--channels", type=_SIZE, default=3, show_default=True),
    click.option("--heads", type=_SIZE, help="Attention heads  [default: the variant's]"),
    click.option("--batch-size", type=_SIZE, default=1, show_default=True),
)


def _model_options(command: Any) -> Any:
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def _config(variant: str, given: dict[str, Any]) -> Any:
    from vitcore.config import ViTConfig

    try:
        return ViTConfig.from_name(variant, **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise InputError(str(error)) from error


@click.command()
@_model_options
@click.option("--depth", type=click.IntRange(1), default=3, show_default=True, help="Of the table.")
def summary(variant: str, batch_size: int, depth: int, **given: Any) -> None:
    """Print the layers of VARIANT (such as B/16), its parameters and its FLOPs."""
    config = _config(variant, given)
    from bench.costs.model_summary import summary as summarise

    click.echo(summarise(config, batch_size, depth))


@click.command()
@_model_options
def shapes(variant: str, batch_size: int, **given: Any) -> None:
    """Print the shape after every step of VARIANT's forward pass."""
    config = _config(variant, given)
    from bench.costs.model_summary import shape_table, size_line
    from bench.costs.model_summary import shapes as walk

    click.echo(shape_table(walk(config, batch_size)))
    click.echo(size_line(config))
