"""Tensors inside the inputs and outputs of an arm: nested tuples, lists and mappings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vitcore.weights import canonical

# Tensors by path or name.
Leaves = dict[str, Tensor]


def leaves(value: object, place: str) -> Iterator[tuple[str, Tensor]]:
    """Iterate over tensors in nested tuples, lists and mappings, with paths like ``output[0]``."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from leaves(part, f"{place}[{index}]")


def named(values: Mapping[str, Tensor]) -> Leaves:
    """Return parameters or gradients by names that all arms share, compiled ones too.

    If two names would become equal, all tensors keep their own names.
    """
    found = canonical({name.replace("_orig_mod.", ""): value for name, value in values.items()})
    return found if len(found) == len(values) else dict(values)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Arguments of a call, by position and by name: tensors, nested or not, and other values."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """Return the same inputs with ``change`` applied to every tensor."""
        return Inputs(args=_mapped(self.args, change), kwargs=_mapped(dict(self.kwargs), change))

    def tensors(self) -> Leaves:
        """Return the tensors by path."""
        return dict([*leaves(self.args, "input"), *leaves(self.kwargs, "input")])


def inputs_of(given: object) -> Inputs | None:
    """Return a tensor, or a sequence or mapping of arguments, as inputs; None for another type."""
    if isinstance(given, Tensor):
        return Inputs(args=(given,))
    if isinstance(given, Mapping):
        return Inputs(kwargs={str(name): value for name, value in given.items()})
    if isinstance(given, list | tuple):
        return Inputs(args=tuple(given))
    return None


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_mapped(part, change) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
