"""Weights of a user's arms: kept as they were made, or moved from the baseline."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.arms.tensors import Leaves, named

# Relative norm of the error of rounding to bfloat16.
_ROUNDING = 4e-3


def share_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of ``source`` to ``target`` if both have the same names and shapes.

    Names are vitcore's canonical ones, so that its arms match each other and nn.MultiheadAttention.
    """
    if misfit(source, target) is not None:
        return
    into = _state(target)
    have, want = named(_state(source)), named(into)
    # In inference mode, since weights made there cannot be written elsewhere.
    with torch.inference_mode():
        for name, value in zip(want, into.values(), strict=True):
            value.copy_(have[name].reshape(value.shape))


def misfit(source: nn.Module, target: nn.Module) -> str | None:
    """Return why the weights of ``source`` cannot be copied to ``target``; None if they can."""
    have, want = named(_state(source)), named(_state(target))
    for names, owner in ((have.keys() - want.keys(), "baseline"), (want.keys() - have.keys(), "")):
        if names:
            more = f" ({len(names)} names are)" if len(names) > 1 else ""
            return f"{min(names)!r} is in the {owner or 'candidate'} only{more}"
    for name, value in want.items():
        if value.shape != have[name].shape:
            shapes = f"{tuple(value.shape)} against {tuple(have[name].shape)}"
            return f"{name!r} has other shapes, {shapes}"
    return None


def has_weights(module: nn.Module) -> bool:
    """Return whether a module's state holds a tensor."""
    return bool(_state(module))


class KeptWeights:
    """A copy of the weights of modules, and of further tensors, that ``restore`` writes back."""

    def __init__(self, modules: Sequence[nn.Module], tensors: Sequence[Tensor] = ()) -> None:
        values = (*_states(modules), *tensors)
        self._values = [(value, value.detach().clone()) for value in values]

    def restore(self) -> None:
        """Write the weights back."""
        with torch.inference_mode():
            for value, kept in self._values:
                value.copy_(kept)


def _states(modules: Iterable[nn.Module]) -> Iterable[Tensor]:
    values = (value for module in modules for value in _state(module).values())
    return (value for value in values if not is_lazy(value))


def _state(module: nn.Module) -> Leaves:
    """Return the tensors of a module's state, without other objects that its code may add."""
    return {n: value for n, value in module.state_dict().items() if isinstance(value, Tensor)}


def comparable_gradients(
    values: Leaves, references: Leaves, weights: Leaves, others: Leaves
) -> tuple[Leaves, Leaves]:
    """Return the gradients of two arms that can be compared, by name.

    ``weights`` and ``others`` are the tensors that received them. Gradients of equal weights can be
    compared; those of weights in another order are sorted; those of other weights are left out,
    since the same function of other parameters has other gradients.
    """
    own, their = named(weights), named(others)
    found: tuple[Leaves, Leaves] = ({}, {})
    for name in values.keys() & references.keys():
        sides = (values[name], references[name])
        if name in own and name in their and sides[0].shape == sides[1].shape:
            kept = _ordered(sides, (own[name], their[name]))
            if kept is None:
                continue
            sides = kept
        found[0][name], found[1][name] = sides
    return found


def _ordered(
    gradients: tuple[Tensor, Tensor], weights: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor] | None:
    """Return two gradients as they are, or sorted as their weights are; None for other weights."""
    one, other = (each.detach().double().cpu().flatten() for each in weights)
    if _is_close(one, other):
        return gradients
    if _is_close(one.sort().values, other.sort().values):
        first, second = (each.flatten().sort().values for each in gradients)
        return first, second
    return None


def _is_close(value: Tensor, reference: Tensor) -> bool:
    """Return whether two weights are equal but for the rounding to bfloat16."""
    return float((value - reference).norm()) <= _ROUNDING * float(reference.norm())
