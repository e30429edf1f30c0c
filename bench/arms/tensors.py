"""Tensors inside the outputs of an arm, and names that all arms share."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from bench.arms.trees import walk
from vitcore.weights import canonical

# Tensors by path or name.
Leaves = dict[str, Tensor]


def leaves(value: object, place: str) -> Iterator[tuple[str, Tensor]]:
    """Iterate over the tensors of a nested value, with paths like ``output[0]``."""
    for where, leaf in walk(value, place):
        if isinstance(leaf, Tensor):
            yield where, leaf


def dense(value: Tensor) -> Tensor:
    """Return a tensor whose elements can be compared: a nested one is padded with zeros."""
    if value.is_nested:
        padded: Tensor = torch.nested.to_padded_tensor(value, 0.0)
        return padded
    if value.is_quantized:
        return value.dequantize()
    return value if value.layout == torch.strided else value.to_dense()


def named(values: Mapping[str, Tensor]) -> Leaves:
    """Return parameters or gradients by names that all arms share, compiled ones too.

    If two names would become equal, all tensors keep their own names.
    """
    found = canonical({name.replace("_orig_mod.", ""): value for name, value in values.items()})
    return found if len(found) == len(values) else dict(values)
