"""What a training step minimises, and with which optimizer.

Axes: B batch, L classes, X the axes of an output that may be any.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.checkpoint import checkpoint

from bench.measure.trees import leaves
from bench.record import InputError

Loss = Callable[[Any], Tensor]

# ``adamw`` is what torch chooses by itself: foreach on CUDA, a loop over parameters on a CPU.
_OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "adamw": AdamW,
    "adamw_loop": partial(AdamW, foreach=False, fused=False),
    "adamw_foreach": partial(AdamW, foreach=True),
    "adamw_fused": partial(AdamW, fused=True),
    "sgd": partial(SGD, lr=1e-3, momentum=0.9),
}


def checkpoint_blocks(module: nn.Module) -> None:
    """Let each block of a module compute its activations again in backward, in place."""
    for block in getattr(module, "blocks", [module]):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def optimizer_of(name: str, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer of that name."""
    return _OPTIMIZERS[name](parameters)


def cross_entropy(logits_BL: Tensor) -> Tensor:
    """The classifier's loss; the labels count through the classes."""
    label_B = torch.arange(len(logits_BL), device=logits_BL.device) % logits_BL.shape[1]
    return F.cross_entropy(logits_BL, label_B)


def half_mean_squares(output: object) -> Tensor:
    """A loss for what is no classifier: the sum over all floating outputs.

    Raises InputError where no gradient could reach anything from them.
    """
    parts = [_half_mean_square(x) for _, x in leaves(output, "output") if x.is_floating_point()]
    if not any(part.requires_grad for part in parts):
        raise InputError(
            "no output depends on a parameter or an input by a gradient; expected one to train: "
            "measure --mode forward"
        )
    return sum(parts[1:], parts[0])


def _half_mean_square(x_BX: Tensor) -> Tensor:
    """At least float32, as autocast would have it."""
    wide = torch.promote_types(x_BX.dtype, torch.float32)
    return x_BX.to(wide).square().mean() / 2
