"""Modes of a module and of its calls: training or evaluation, gradients on or off, first shapes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy

from bench.arms.inputs import Inputs
from bench.arms.preparing import seeded
from bench.records.errors import InputError

T = TypeVar("T")
# Contexts of forward calls, from the fastest to what any call can run in.
_FORWARD: tuple[tuple[Callable[[], AbstractContextManager[object]], str], ...] = (
    (torch.inference_mode, "in inference mode"),
    (torch.no_grad, "under no_grad"),
    (torch.enable_grad, "with gradients on"),
)
# Parts of the messages of calls that need gradients, or tensors that can have some.
_NEED_GRADIENTS = ("require grad", "requires grad", "nference tensor", "grad_fn", "inference mode")
_MODE_ARGUMENTS = ("train", "training", "is_training", "use_input_stats")
_NAMES = {True: "training", False: "evaluation"}


class ForwardMode:
    """The context of an arm's forward calls: gradients are off as far as its calls allow it."""

    def __init__(self) -> None:
        self.level = 0

    def __str__(self) -> str:
        """The mode as text: ``under no_grad``."""
        return _FORWARD[self.level][1]

    def context(self) -> AbstractContextManager[object]:
        """Return the context."""
        return _FORWARD[self.level][0]()

    def tried(self, call: Callable[[], T]) -> T:
        """Return what a call returns, which enters the context; it may need gradients."""
        while True:
            try:
                return call()
            except RuntimeError as error:
                is_last = self.level == len(_FORWARD) - 1
                if is_last or not any(text in str(error) for text in _NEED_GRADIENTS):
                    raise
            self.level += 1


def set_mode(module: nn.Module, *, train: bool) -> None:
    """Switch a module to training or evaluation.

    An exported program stays as it was exported. Raises InputError if that is the other mode.
    """
    try:
        module.train(train)
    except (NotImplementedError, AttributeError, RuntimeError):
        _set_where_possible(module, train=train)


def _set_where_possible(module: nn.Module, *, train: bool) -> None:
    if not isinstance(module, GraphModule) and type(module).train is nn.Module.train:
        module.training = train
        for child in module.children():
            set_mode(child, train=train)
        return
    made_for = exported_mode(module)
    if made_for is not None and made_for is not train:
        mode = "train" if made_for else "forward"
        raise InputError(
            f"{type(module).__name__} was exported in {_NAMES[made_for]} mode and cannot be "
            f"switched: measure --mode {mode}, or export it in {_NAMES[train]} mode"
        )


def exported_mode(module: nn.Module) -> bool | None:
    """Return whether an exported program trains; None if its operators are the same in both."""
    if not isinstance(module, GraphModule):
        return bool(module.training)
    for node in module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        for index, argument in enumerate(schema.arguments if schema else ()):
            if argument.name in _MODE_ARGUMENTS:
                given = node.args[index] if index < len(node.args) else None
                found = node.kwargs.get(argument.name, given)
                if isinstance(found, bool):
                    return found
    return None


def settle_shapes(
    work: Callable[..., object], module: nn.Module, inputs: Inputs, device: str
) -> None:
    """Call an arm once where its first call decides the shapes of its parameters (LazyLinear)."""
    if not has_lazy(module):
        return
    training, given = module.training, inputs.copied(device)
    module.eval()
    # Each copy of an arm draws the same numbers for what it makes now.
    with seeded(device), torch.no_grad():
        work(*given.args, **given.kwargs)
    module.train(training)


def has_lazy(module: nn.Module) -> bool:
    """Return whether a parameter or buffer of a module has no shape yet."""
    return any(is_lazy(each) for each in (*module.parameters(), *module.buffers()))
