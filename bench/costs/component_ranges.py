"""Mark each component of an arm's call as a range of torch's profiler.

Module hooks open and close the ranges, so that the model's code stays unchanged. A compiled module
is one component: hooks inside it would change the compiled code.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn
from torch.profiler import record_function

from bench.arms.candidate import Candidate
from bench.records.call_profile import BETWEEN, RANGE
from vitcore.blocks import EncoderBlock
from vitcore.model import ViT
from vitcore.patchers import Patcher

Range = Callable[[], AbstractContextManager[object]]
Open = Callable[[str], AbstractContextManager[object]]

_COMPILED = "compiled"


def component_range(component: str) -> record_function:
    """Return a range of the profiler, a context manager, for a component."""
    return record_function(f"{RANGE}{component}")


@contextmanager
def component_ranges(arm: Candidate, opened: Open = component_range) -> Iterator[None]:
    """Enter a range around each component of an arm's calls; restore the arm on exit.

    ``opened`` returns the context manager for a component's name.
    """
    with ExitStack() as stack:
        for owner, attribute, component in _functions(arm):
            stack.enter_context(_around_function(owner, attribute, partial(opened, component)))
        for module, component in _modules(arm):
            stack.enter_context(_around_module(module, partial(opened, component)))
        yield


def parameters_by_component(arm: Candidate) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of an arm by component, each under its innermost component."""
    owners: dict[nn.Parameter, str] = dict.fromkeys(arm.module.parameters(), BETWEEN)
    for module, component in _modules(arm):
        owners |= dict.fromkeys(module.parameters(), component)
    found: dict[str, list[nn.Parameter]] = {}
    for parameter, component in owners.items():
        found.setdefault(component, []).append(parameter)
    return found


def _functions(arm: Candidate) -> Iterator[tuple[object, str, str]]:
    """Yield the components that are functions: owner, attribute, component."""
    yield arm, "once", BETWEEN
    yield arm, "loss", "loss"
    yield arm, "forget_gradients", "optimizer"
    yield arm.scaler, "scale", "loss"
    yield arm.scaler, "step", "optimizer"
    yield arm.scaler, "update", "optimizer"
    if _compiled_whole(arm):
        yield arm, "work", _COMPILED


def _compiled_whole(arm: Candidate) -> bool:
    how = arm.arm.compile
    return how != "eager" and not (how == "compile_blocks" and isinstance(arm.module, ViT))


def _modules(arm: Candidate) -> Iterator[tuple[nn.Module, str]]:
    """Yield the modules that are components, outer modules first, with their component."""
    module = arm.module
    if _compiled_whole(arm):
        return
    if isinstance(module, ViT):
        yield from _of_model(module, compiled_blocks=arm.arm.compile == "compile_blocks")
    elif isinstance(module, EncoderBlock):
        yield from _of_block(module)
    else:
        yield module, "patcher" if isinstance(module, Patcher) else "attention"


def _of_model(model: ViT, *, compiled_blocks: bool) -> Iterator[tuple[nn.Module, str]]:
    yield model.patcher, "patcher"
    for name in ("class_token", "position", "dropout"):
        yield model.get_submodule(name), "embedding"
    if compiled_blocks:
        yield model.blocks, _COMPILED
    else:
        for block in model.blocks:
            yield from _of_block(block)
    for name in ("first_token", "head"):
        yield model.get_submodule(name), "head"


def _of_block(block: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for branch, component in (("attention", "attention"), ("mlp", "MLP")):
        residual = block.get_submodule(branch)
        # A recomputed block runs inside a backward node of another component.
        yield residual, BETWEEN
        yield residual.get_submodule("norm"), "norm"
        yield residual.get_submodule("branch"), component


@contextmanager
def _around_function(owner: object, attribute: str, opened: Range) -> Iterator[None]:
    """Enter a range around each call of a function, an attribute of an object or of its class."""
    function, own = getattr(owner, attribute), attribute in vars(owner)

    def inside(*args: Any, **kwargs: Any) -> Any:
        with opened():
            return function(*args, **kwargs)

    setattr(owner, attribute, inside)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, function)
        else:
            delattr(owner, attribute)


@contextmanager
def _around_module(module: nn.Module, opened: Range) -> Iterator[None]:
    """Enter a range around each call of a module, also if the call raises."""
    entered: list[AbstractContextManager[object]] = []

    def begin(*_: object) -> None:
        entered.append(opened())
        entered[-1].__enter__()

    def end(*_: object) -> None:
        entered.pop().__exit__(None, None, None)

    # Recomputation of a block ends with an exception once backward has all tensors it needs.
    hooks = (
        module.register_forward_pre_hook(begin),
        module.register_forward_hook(end, always_call=True),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
