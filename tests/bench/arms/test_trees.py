"""bench.arms.trees: nested values of every kind, looked into and built again."""

from collections import OrderedDict, UserDict, defaultdict
from dataclasses import FrozenInstanceError, dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils import _pytree as pytree

from bench.arms.trees import is_tree, mapped, opaque, own_copy, walk

A, B = torch.ones(1), torch.ones(2)


class Pair(NamedTuple):
    """Two values by position."""

    first: object
    second: object


@dataclass(frozen=True)
class Frozen:
    """A dataclass that refuses to be written, with a field that is not an argument."""

    x: object
    shape: object = field(init=False, default=3)


@dataclass(slots=True)
class Slotted:
    """A dataclass without a dictionary."""

    x: object


class Node:
    """A class that torch is told about."""

    def __init__(self, parts: list[Any], name: str) -> None:
        self.parts, self.name = parts, name


pytree.register_pytree_node(
    Node, lambda node: (node.parts, node.name), lambda parts, name: Node(list(parts), name)
)


class Plain:
    """A class that nobody is told about."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class WithSlots:
    """One without a dictionary."""

    __slots__ = ("x",)

    def __init__(self, x: object) -> None:
        self.x = x


class Words(list[Any]):
    """A list of its own class."""


TREES = [
    (1, 2),
    [1, [2, 3]],
    {"a": 1, 2: (3,)},
    OrderedDict(b=1, a=2),
    UserDict({"x": 1}),
    defaultdict(int, x=1),
    Pair(1, [2]),
    Frozen(1),
    Slotted({"y": 1}),
    Words([1, 2]),
    Frozen(Slotted([Pair(1, 2)])),
]


@pytest.mark.parametrize("value", TREES, ids=repr)
def test_a_mapped_value_is_of_the_same_types(value: Any) -> None:
    """Every container is built again as what it was, and the original stays as it is."""
    text = repr(value)
    same = mapped(value, lambda leaf: leaf)
    assert is_tree(value)
    assert same == value
    assert type(same) is type(value)
    assert same is not value
    changed = mapped(value, lambda leaf: leaf + 10)
    assert [leaf for _, leaf in walk(changed, "")] == [leaf + 10 for _, leaf in walk(value, "")]  # type: ignore[operator]
    assert repr(value) == text


def test_what_torch_knows_is_looked_into() -> None:
    """A node that is registered keeps what belongs to it."""
    made = mapped(Node([A, [B]], "pair"), lambda leaf: leaf + 1)
    assert (type(made), made.name) == (Node, "pair")
    assert [where for where, _ in walk(made, "x")] == ["x[0]", "x[1][0]"]
    assert mapped(torch.Size([2, 3]), lambda leaf: leaf) == torch.Size([2, 3])


def test_a_dataclass_has_the_places_of_a_mapping() -> None:
    """A backbone may return either, and both agree."""
    in_class, in_dict = (list(walk(each, "x")) for each in (Frozen(A), {"x": A, "shape": 3}))
    assert in_class == in_dict
    with pytest.raises(FrozenInstanceError):
        Frozen(A).x = B  # type: ignore[misc]


def test_a_mapping_that_cannot_be_written_becomes_a_dict() -> None:
    """Its values are at the same places."""
    assert mapped(MappingProxyType({"x": 1}), lambda leaf: leaf + 1) == {"x": 2}


@pytest.mark.parametrize("value", [3, "text", None, A, Plain(x=A), Frozen, torch.nn.Linear])
def test_what_has_no_parts(value: object) -> None:
    """Tensors, classes and objects of other classes are values by themselves."""
    assert not is_tree(value)
    assert list(walk(value, "x")) == [("x", value)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((A, Plain(x=A, n=3)), "output[1] is an object of type Plain with tensors in x"),
        (WithSlots(A), "output is an object of type WithSlots with tensors in x"),
        (Plain(a=A, b=A, c=A, d=A), "output is an object of type Plain with tensors in a, b, c, …"),
        ((A, Plain(n=3), {"x": Frozen(A)}), None),
    ],
)
def test_objects_that_hide_tensors_are_named(value: object, said: str | None) -> None:
    """The first such object is named by its place, type and attributes."""
    assert opaque(value, "output") == said


def test_objects_are_copied_where_they_can_be() -> None:
    """A list of a cache is another's; what refuses a copy, and what cannot change, is shared."""
    cache: Any = Plain(seen=[A])
    made = own_copy(cache, {id(A): B})
    assert made.seen == [B]
    assert cache.seen == [A]
    refuses = (each for each in [1])
    for value in (refuses, torch.float32, print, Plain, "text"):
        assert own_copy(value, {}) is value
