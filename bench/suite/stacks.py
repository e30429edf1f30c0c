"""Stacks of known relative cost, with which ``vitbench calibrate`` tries the suite itself.

Each layer is a Linear of 256 values and a GELU, and all layers cost the same: ``linear_21`` does
21/20 of the work of ``linear_20``. What a longer stack costs in cache is not known beforehand, so
that ratio may be off by some tenths of a percent: how often intervals hold the truth is to be read
from identical stacks. An input is x_ND with N tokens of D = 256 values.
"""

from itertools import chain

import torch
from torch import nn

WIDTH = 256


def linear_20() -> nn.Sequential:
    """Twenty layers."""
    return _stack(20)


def linear_21() -> nn.Sequential:
    """Twenty-one layers: 5 % more than twenty."""
    return _stack(21)


def linear_50() -> nn.Sequential:
    """Fifty layers."""
    return _stack(50)


def linear_51() -> nn.Sequential:
    """Fifty-one layers: 2 % more than fifty."""
    return _stack(51)


def _stack(layers: int) -> nn.Sequential:
    """Layers with weights of their own: one used again would be found in the cache.

    The first weights of every stack are the same.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        each = ((nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(layers))
        return nn.Sequential(*chain.from_iterable(each))
