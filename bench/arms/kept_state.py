"""The state that calls may change: kept, and put back. Copies of modules."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from bench.arms.contents import Contents, contents_of
from bench.arms.weights import KeptWeights
from bench.records.errors import InputError, one_line
from bench.timing.device import is_out_of_memory


@contextmanager
def kept_state(contents: Contents) -> Iterator[None]:
    """Put back weights, gradients and the state of optimizers after the block."""
    weights = KeptWeights(contents.modules, contents.tensors)
    tensors = [*(p for m in contents.modules for p in m.parameters()), *contents.tensors]
    gradients = [(each, each.grad) for each in tensors]
    states = [(each, copy.deepcopy(each.state_dict())) for each in contents.optimizers]
    try:
        yield
    finally:
        weights.restore()
        for each, gradient in gradients:
            each.grad = gradient
        for optimizer, state in states:
            optimizer.load_state_dict(state)


@contextmanager
def unchanged(*works: Callable[..., object]) -> Iterator[None]:
    """Leave what functions hold as it was after the block: state, memory, mode. Modules are not."""
    held = [contents_of(work) for work in works if not isinstance(work, nn.Module)]
    modules = [part for each in held for module in each.modules for part in module.modules()]
    modes = [(each, each.training) for each in modules]
    values = (value for each in modules for value in (*each.parameters(), *each.buffers()))
    owned = [value for value in values if not is_lazy(value)]
    memories = [(value, value.data) for value in owned]
    with kept_states(held):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for value, memory in memories:
                value.data = memory


@contextmanager
def kept_states(held: list[Contents]) -> Iterator[None]:
    """Put back the state of several callables after the block."""
    if not held:
        yield
        return
    with kept_state(held[0]), kept_states(held[1:]):
        yield


def copied_module(module: nn.Module) -> nn.Module:
    """Return a copy of a module, with weights of its own.

    Weights that the module computes from others (``torch.nn.utils.weight_norm``) are copied as
    numbers: the next call computes them again. Raises InputError if it cannot be copied.
    """
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in pytree.tree_leaves(vars(part))
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"the module cannot be copied: {one_line(error)}; give a function that makes a new one "
            "at each call, in a file: vitbench compare FILE.py:make …"
        ) from error
