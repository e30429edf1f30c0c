"""bench.arms.contents: modules, parameters and optimizers inside callables of every kind."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.arms.contents import contents_of

GLOBAL = nn.Linear(2, 2)
FREE = torch.ones(2, requires_grad=True)


class Holder:
    """An object with a module, called by itself or by a method."""

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def __call__(self, x: Tensor) -> object:
        """Call the module."""
        return self.inner(x)

    def method(self, x: Tensor) -> object:
        """Call the module, too."""
        return self.inner(x)


class Shared(Holder):
    """One whose class has another module."""

    shared = nn.Linear(3, 3)


class Slots:
    """The same without a dictionary."""

    __slots__ = ("inner",)

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def __call__(self, x: Tensor) -> object:
        """Call the module."""
        return self.inner(x)


def apply(module: nn.Module, x: Tensor) -> object:
    """Call a module."""
    return module(x)


def helper(x: Tensor) -> object:
    """Use a global."""
    return GLOBAL(x)


def outer(x: Tensor) -> object:
    """Use a global by another function, inside a third."""
    return [helper(each) for each in x]


def closed(inner: nn.Module) -> Callable[..., object]:
    """Return a function around a module."""

    def work(x: Tensor) -> object:
        return inner(x) + 0

    return work


def twice_closed(inner: nn.Module) -> Callable[..., object]:
    """Return a function around a function around a module."""
    first = closed(inner)

    def work(x: Tensor) -> object:
        return first(x)

    return work


def decorated(inner: nn.Module) -> Callable[..., object]:
    """Return a function behind a decorator."""

    def repeated(function: Callable[..., object]) -> Callable[..., object]:
        @wraps(function)
        def both(x: Tensor) -> object:
            return function(x), function(x)

        return both

    @repeated
    def work(x: Tensor) -> object:
        return inner(x)

    return work


HOLDERS: dict[str, Callable[[nn.Module], Any]] = {
    "closure": closed,
    "two closures": twice_closed,
    "partial": lambda inner: partial(apply, inner),
    "named partial": lambda inner: partial(apply, module=inner),
    "bound method": lambda inner: Holder(inner).method,
    "method of a module": lambda inner: inner.forward,
    "slots": Slots,
    "default": lambda inner: lambda x, module=inner: module(x),
    "decorator": decorated,
    "list": lambda inner: lambda x, parts=({"first": [inner]},): parts[0]["first"][0](x),
    "compiled": lambda inner: torch.compile(closed(inner), backend="eager"),
}


@pytest.mark.parametrize("hide", HOLDERS.values(), ids=HOLDERS.keys())
def test_a_hidden_module_is_found(hide: Callable[[nn.Module], Any]) -> None:
    """Wherever a callable holds it, its parameters keep their names."""
    inner = nn.Sequential(nn.Linear(2, 2), nn.GELU())
    found = contents_of(hide(inner))
    assert found.modules == (inner,)
    assert list(dict(found.module.named_parameters())) == ["0.weight", "0.bias"]


def test_globals_and_classes_hold_modules() -> None:
    """Globals that code uses, by other functions too, and attributes of a class are found."""
    assert contents_of(outer).modules == (GLOBAL,)
    inner = nn.Linear(2, 2)
    assert set(contents_of(Shared(inner)).modules) == {inner, Shared.shared}


def test_a_module_is_itself() -> None:
    """What a module does not register is not trained, as in the user's own loop."""
    module: Any = nn.Sequential(nn.Linear(2, 2))
    module.rest = [nn.Linear(3, 3)]
    found = contents_of(module)
    assert (found.modules, found.tensors, found.module) == ((module,), (), module)


def test_parts_of_a_module_are_not_listed_again() -> None:
    """A function that holds a module and one of its layers holds one module."""
    whole = nn.Sequential(nn.Linear(2, 2), nn.GELU())
    layer, other = whole[0], nn.Linear(4, 4)
    found = contents_of(lambda x: (layer(whole(x)), other(x)))
    assert set(found.modules) == {whole, other}
    assert len(list(found.module.parameters())) == 4


def test_loose_tensors_are_trained() -> None:
    """Leaves that need gradients count, others and those of a module do not."""
    inner, frozen = nn.Linear(2, 2), torch.ones(2)
    scale = torch.ones(2, requires_grad=True)
    weight, computed = inner.weight, scale * 2
    found = contents_of(lambda x: inner(x) @ weight * scale + frozen + FREE + computed)
    assert {id(each) for each in found.tensors} == {id(scale), id(FREE)}


def test_optimizers_are_found() -> None:
    """Those of a function and those that a module keeps."""
    module: Any = nn.Linear(2, 2)
    module.steps = [torch.optim.SGD(module.parameters())]
    outside = torch.optim.SGD(module.parameters())
    assert contents_of(lambda: (outside.step(), None)).optimizers == (outside,)
    assert contents_of(module).optimizers == tuple(module.steps)
    assert contents_of(closed(module)).optimizers == tuple(module.steps)


@pytest.mark.parametrize("work", [torch.tanh, nn.functional.relu, len, lambda x: x, Tensor.exp])
def test_functions_that_hold_nothing(work: Callable[..., object]) -> None:
    """Functions of torch and of Python have no contents."""
    found = contents_of(work)
    assert (found.modules, found.tensors, found.optimizers) == ((), (), ())
    assert list(found.module.state_dict()) == []


def test_circles_end() -> None:
    """Objects that hold each other are searched once."""
    first: dict[str, Any] = {"module": GLOBAL}
    second = {"first": first}
    first["second"] = second
    assert contents_of(lambda: (first, second)).modules == (GLOBAL,)
