"""Stacks of known relative cost, with which ``vitbench calibrate`` tests the suite itself.

Each layer is a Linear of 256 features and a GELU, and all layers cost the same: ``linear_21`` does
21/20 of the work of ``linear_20``. The cache misses of a longer stack are not known in advance, so
that ratio may be off by some tenths of a percent: only identical stacks show the coverage of the
intervals. An input is x_ND with N tokens of D = 256 features.
"""

from itertools import chain

import torch
from torch import nn

WIDTH = 256


def linear_20() -> nn.Sequential:
    """Return twenty layers."""
    return _stack(20)


def linear_21() -> nn.Sequential:
    """Return twenty-one layers: 5 % more work than twenty."""
    return _stack(21)


def linear_50() -> nn.Sequential:
    """Return fifty layers."""
    return _stack(50)


def linear_51() -> nn.Sequential:
    """Return fifty-one layers: 2 % more work than fifty."""
    return _stack(51)


def _stack(layers: int) -> nn.Sequential:
    """Return layers, each with its own weights, since shared ones would stay in the cache.

    The first weights of all stacks are equal.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        each = ((nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(layers))
        return nn.Sequential(*chain.from_iterable(each))
