"""``vitbench summary`` and ``vitbench shapes``: layers of a model, and shapes after each step."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import click

from bench.cli.options import pixels
from bench.records.comparison import DEFAULT_ARM, USUAL_PIXELS
from bench.records.errors import InputError

if TYPE_CHECKING:
    from vitcore.config import ViTConfig

F = TypeVar("F", bound=Callable[..., None])
_SIZE = click.IntRange(1, 10**6)
_MODEL_OPTIONS = (
    click.argument("variant"),
    click.option("--patcher", default=DEFAULT_ARM.patcher, show_default=True),
    click.option("--attention", default=DEFAULT_ARM.attention, show_default=True),
    click.option("--head", default="linear", show_default=True),
    click.option("--classes", "num_classes", type=_SIZE, default=1000, show_default=True),
    click.option("--image-size", type=pixels, default=str(USUAL_PIXELS), show_default=True),
    click.option("--channels", type=_SIZE, default=3, show_default=True),
    click.option("--heads", type=_SIZE, help="Attention heads  [default: the variant's]"),
    click.option("--batch-size", type=_SIZE, default=1, show_default=True),
)


class ModelOptions(TypedDict):
    """Values of the options of a model; without ``heads`` it has the variant's."""

    patcher: str
    attention: str
    head: str
    num_classes: int
    image_size: int | tuple[int, int]
    channels: int
    heads: int | None


def _model_options(command: F) -> F:
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def _config(variant: str, options: ModelOptions) -> "ViTConfig":
    from vitcore.config import ViTConfig

    try:
        return ViTConfig.from_name(variant, **{k: v for k, v in options.items() if v is not None})
    except ValueError as error:
        raise InputError(str(error)) from error


@click.command()
@_model_options
@click.option(
    "--depth",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Nesting levels shown in the table.",
)
def summary(variant: str, batch_size: int, depth: int, **options: Unpack[ModelOptions]) -> None:
    """Print the layers of VARIANT (such as B/16), its parameters and its FLOPs."""
    config = _config(variant, options)
    from bench.costs.model_summary import summary as summarise

    click.echo(summarise(config, batch_size, depth))


@click.command()
@_model_options
def shapes(variant: str, batch_size: int, **options: Unpack[ModelOptions]) -> None:
    """Print the shape after every step of VARIANT's forward pass."""
    config = _config(variant, options)
    from bench.costs.model_summary import shape_table, size_line
    from bench.costs.model_summary import shapes as walk

    click.echo(shape_table(walk(config, batch_size)))
    click.echo(size_line(config))
