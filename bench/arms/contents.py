"""What a callable holds: the modules, parameters and optimizers that its calls use."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

# Objects of these packages hold no code of the user.
_FOREIGN = ("torch", "numpy", "builtins")
# A search through more objects than this would take long; parameters lie near a callable.
_MOST = 20_000


@dataclass(frozen=True)
class Contents:
    """Modules that no other of them holds, further tensors that are trained, and optimizers."""

    modules: tuple[nn.Module, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    optimizers: tuple[Optimizer, ...] = ()

    @property
    def module(self) -> nn.Module:
        """All modules as one: the only one itself, so that its names stay as they are."""
        return self.modules[0] if len(self.modules) == 1 else nn.ModuleList(self.modules)


def contents_of(work: Callable[..., object]) -> Contents:
    """Return what a callable holds in closures, attributes, arguments and the globals that it uses.

    Of a module only optimizers are looked for inside: its parameters are those it registers.
    """
    found = list(_reachable(work))
    optimizers = tuple(each for each in found if isinstance(each, Optimizer))
    if isinstance(work, nn.Module):
        return Contents(modules=(work,), optimizers=optimizers)
    modules = [each for each in found if isinstance(each, nn.Module)]
    inner = {id(part) for each in modules for part in each.modules() if part is not each}
    top = tuple(each for each in modules if id(each) not in inner)
    own = {id(value) for each in top for value in each.parameters()}
    loose = (each for each in found if isinstance(each, Tensor) and id(each) not in own)
    trained = tuple(each for each in loose if each.requires_grad and each.is_leaf)
    return Contents(modules=top, tensors=trained, optimizers=optimizers)


def _reachable(work: object) -> Iterator[object]:
    """Yield the objects that a value holds, each once, nearest first."""
    queue, seen = [work], set[int]()
    while queue and len(seen) < _MOST:
        value = queue.pop(0)
        if id(value) in seen or _is_atom(value):
            continue
        seen.add(id(value))
        yield value
        queue += _held(value)


def _is_atom(value: object) -> bool:
    return value is None or isinstance(value, int | float | str | bytes | type | ModuleType)


def _held(value: Any) -> Iterable[object]:
    """Return the objects that a value holds."""
    for kind, held in _HELD:
        if isinstance(value, kind):
            return held(value)
    is_foreign = type(value).__module__.partition(".")[0] in _FOREIGN
    return () if is_foreign else _of_object(value)


def _of_module(module: nn.Module) -> list[object]:
    """Return the optimizers among the attributes of a module and of its parts, also in lists."""
    found: list[object] = []
    for each in (each for part in module.modules() for each in vars(part).values()):
        parts = each if isinstance(each, list | tuple) else [each]
        found += [part for part in parts if isinstance(part, Optimizer)]
    return found


def _of_object(value: object) -> list[object]:
    """Return the attributes of an object and of its class, and the function that a call runs."""
    slots = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    shared = [x for x in vars(type(value)).values() if isinstance(x, nn.Module | Tensor)]
    called = getattr(value, "__call__", None)  # noqa: B004 (the function itself is asked for)
    code = [called.__func__] if isinstance(called, MethodType) else []
    return [*getattr(value, "__dict__", {}).values(), *slots, *shared, *code]


def _of_function(function: FunctionType) -> list[object]:
    if function.__module__ and function.__module__.partition(".")[0] == "torch":
        # A compiled function names the user's.
        return [getattr(function, "_torchdynamo_orig_callable", None)]
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # Not filled yet.
            continue
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    names = [name for name in _names(function.__code__) if name in function.__globals__]
    used = [function.__globals__[name] for name in dict.fromkeys(names)]
    return [*cells, *defaults, *vars(function).values(), *used]


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals that code may use, that of functions inside it too."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


# What values of each kind hold; the first that fits.
_HELD: tuple[tuple[Any, Callable[[Any], Iterable[object]]], ...] = (
    (Tensor | Optimizer, lambda _: ()),
    (nn.Module, _of_module),
    (functools.partial, lambda value: [value.func, *value.args, *value.keywords.values()]),
    (MethodType, lambda value: [value.__self__, value.__func__]),
    (FunctionType, _of_function),
    (Mapping, lambda value: list(value.values())),
    (list | tuple | set | frozenset, list),
)
