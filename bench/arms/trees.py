"""Nested values of arms: tuples, lists, mappings, dataclasses and the nodes that torch knows."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

# Values without parts that no call can change.
_ATOMS = (bool, int, float, complex, str, bytes, type(None), type, range, slice)
_SHOWN = 3
# The parts of a value with their places in it, and how to build the same of other parts.
_Parts = tuple[list[tuple[str, Any]], Callable[[list[Any]], Any]]


def walk(value: object, place: str) -> Iterator[tuple[str, object]]:
    """Yield the values without parts, with paths like ``output[0]`` or ``output['cls_token']``."""
    parts = _parts_of(value)
    if parts is None:
        yield place, value
        return
    for where, part in parts[0]:
        yield from walk(part, f"{place}{where}")


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the same nested value with ``change`` applied to every value without parts.

    Containers are copied, of the same type where that type allows it.
    """
    parts = _parts_of(value)
    if parts is None:
        return change(value)
    found, build = parts
    return build([mapped(part, change) for _, part in found])


def is_tree(value: object) -> bool:
    """Return whether a value has parts that are looked into."""
    return _parts_of(value) is not None


def opaque(value: object, place: str) -> str | None:
    """Return the objects that hold tensors but are not looked into, as text; None without any."""
    for where, leaf in walk(value, place):
        names = [name for name, each in _attributes(leaf).items() if isinstance(each, Tensor)]
        if names:
            shown = ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])
            return f"{where} is an object of type {type(leaf).__name__} with tensors in {shown}"
    return None


def own_copy(value: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of an object, or itself if it cannot be copied; ``memo`` is deepcopy's."""
    if isinstance(value, _ATOMS):
        return value
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # noqa: BLE001 (whatever a class raises, its object is then shared)
        return value


def _attributes(value: object) -> dict[str, object]:
    if isinstance(value, Tensor | type):
        return {}
    slots = {n: getattr(value, n, None) for n in getattr(type(value), "__slots__", ())}
    return {**slots, **getattr(value, "__dict__", {})}


def _parts_of(value: Any) -> _Parts | None:
    if isinstance(value, Tensor | type):
        return None
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", part) for key, part in value.items()], _mapping_like(value)
    if isinstance(value, list | tuple):
        return _numbered(value), _sequence_like(value)
    if (node := pytree.SUPPORTED_NODES.get(type(value))) is not None:
        parts, context = node.flatten_fn(value)
        return _numbered(parts), lambda made: node.unflatten_fn(made, context)
    if is_dataclass(value):
        names = [each.name for each in fields(value) if hasattr(value, each.name)]
        # As in a mapping, so that a dataclass agrees with a dict of the same names.
        return [(f"[{name!r}]", getattr(value, name)) for name in names], _like(value, names)
    return None


def _numbered(parts: Any) -> list[tuple[str, Any]]:
    return [(f"[{index}]", part) for index, part in enumerate(parts)]


def _mapping_like(value: Mapping[Any, Any]) -> Callable[[list[Any]], Any]:
    def build(parts: list[Any]) -> Any:
        items = dict(zip(value, parts, strict=True))
        if type(value) is dict:
            return items
        try:
            made: Any = copy.copy(value)
            for key, part in items.items():
                made[key] = part
        except Exception:  # noqa: BLE001 (a mapping that cannot be written becomes a dict)
            return items
        return made

    return build


def _sequence_like(value: Any) -> Callable[[list[Any]], Any]:
    def build(parts: list[Any]) -> Any:
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)

    return build


def _like(value: Any, names: list[str]) -> Callable[[list[Any]], Any]:
    """Return a function that copies a dataclass with other values, frozen ones too."""

    def build(parts: list[Any]) -> Any:
        made = copy.copy(value)
        for name, part in zip(names, parts, strict=True):
            object.__setattr__(made, name, part)
        return made

    return build
