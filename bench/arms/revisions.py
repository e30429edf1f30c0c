"""Parts of vitcore as another version of it builds them."""

from pathlib import Path
from typing import Any

from torch import nn

from bench.arms.neighbours import import_from
from bench.record import InputError, Workload, one_line

# Where each part has stood since vitcore has had a table of variants.
_PLACES = {
    "patcher": ("vitcore.patchers", "build_patcher"),
    "attention": ("vitcore.attention", "build_attention"),
    "block": ("vitcore.blocks", "EncoderBlock"),
    "model": ("vitcore.model", "ViT"),
}


def build_from(tree: Path, workload: Workload, levels: dict[str, Any]) -> nn.Module:
    """Build a workload's component by the vitcore in a folder, with that version's own config.

    Raises InputError where it has no such part, or builds it otherwise.
    """
    place, name = _PLACES[workload.component]
    try:
        config = import_from(tree, "vitcore.config").ViTConfig
        build = getattr(import_from(tree, place), name)
        made: nn.Module = build(
            config.from_name(workload.variant, image_size=workload.image_size, **levels)
        )
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"vitcore in {tree} builds no {workload.component} of {workload.variant} "
            f"({one_line(error)}); leave this target out, or compare with a later revision"
        ) from error
    return made
