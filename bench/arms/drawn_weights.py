"""Random weights: each is drawn once, where the constructors of a model draw it twice."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Functions that draw the values of a tensor.
DRAWS = (
    Tensor.normal_,
    Tensor.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
)


class WithoutDraws(TorchFunctionMode):
    """Leave random numbers out: what a constructor would draw keeps the values of its memory.

    Constants stay. ``draw_weights`` makes up for it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the tensor as it is where ``func`` would draw its values."""
        keywords = kwargs or {}
        if func in DRAWS:
            return args[0] if args else keywords["tensor"]
        return func(*args, **keywords)


def draw_weights(module: nn.Module) -> None:
    """Draw every parameter, in place.

    Matrices are Xavier uniform (Glorot and Bengio 2010, equation 16). Scales and biases get noise
    on top of their constants 1 and 0: zero biases would hide a mistake.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter.flatten(1))
            else:
                constant = 1.0 if name.endswith("weight") else 0.0
                parameter.normal_(constant, std=0.02)
