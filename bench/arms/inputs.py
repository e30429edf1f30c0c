"""Inputs of an arm: each arm gets a copy of its own, as the user made them.

Strides, views, memory that tensors share, types of tensors and containers, and other objects are
those of the user; only device and number format follow from the arm.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from bench.arms.levels import laid_out
from bench.arms.tensors import Leaves, leaves
from bench.arms.trees import is_tree, mapped, own_copy

# A view begins at the same place of a cache line as the user's.
_LINE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Arguments of a call, by position and by name: tensors, nested or not, and other values."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """Return the same inputs with ``change`` applied to every tensor."""

        def changed(value: Any) -> Any:
            return change(value) if isinstance(value, Tensor) else value

        return self._mapped(changed)

    def tensors(self) -> Leaves:
        """Return the tensors by path."""
        return dict([*leaves(self.args, "input"), *leaves(self.kwargs, "input")])

    def copied(
        self,
        device: str,
        dtype: torch.dtype | None = None,
        *,
        layout: str = "contiguous",
        needs_grad: bool = False,
    ) -> "Inputs":
        """Return a copy on a device, which shares memory inside where these inputs do.

        Tensors are moved unless some are on the device: then the user chose each place. Those of
        floating type are converted to ``dtype``, and need gradients if they did, or with
        ``needs_grad``. Objects that cannot be copied are shared.
        """
        tensors = list({id(each): each for each in self.tensors().values()}.values())
        is_chosen = any(each.device.type == device for each in tensors)
        made = _copies(tensors, None if is_chosen else device, dtype)
        memo: dict[int, Any] = {}
        for each in tensors:
            copied = laid_out(made[id(each)], layout)
            needs = each.requires_grad or needs_grad
            memo[id(each)] = _dressed(copied, each, needs_grad=needs)
        return self._mapped(
            lambda value: memo.get(id(value)) if id(value) in memo else own_copy(value, memo)
        )

    def memories(self) -> list[Tensor]:
        """Return the memory of the tensors, each part once, as flat tensors where they have any."""
        found = [_flat(group) for group in _groups(self.tensors().values())]
        return [*found, *(each for each in self.tensors().values() if not _is_plain(each))]

    def _mapped(self, change: Callable[[Any], Any]) -> "Inputs":
        return Inputs(args=mapped(self.args, change), kwargs=mapped(dict(self.kwargs), change))


def inputs_of(given: object) -> Inputs | None:
    """Return a tensor, or a sequence or mapping of arguments, as inputs; None for another type.

    A dataclass, or another node that torch knows, is one argument.
    """
    if isinstance(given, Tensor):
        return Inputs(args=(given,))
    if isinstance(given, Mapping):
        return Inputs(kwargs={str(name): value for name, value in given.items()})
    if isinstance(given, list | tuple):
        return Inputs(args=tuple(given))
    return Inputs(args=(given,)) if is_tree(given) else None


def _is_plain(value: Tensor) -> bool:
    """Return whether a tensor is a view of memory: neither sparse, nested, wrapped nor on meta."""
    return (
        value.layout == torch.strided
        and not (value.is_nested or value.is_quantized or value.is_meta)
        and type(value).__torch_dispatch__ is Tensor.__torch_dispatch__
    )


def _groups(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the plain tensors that share their memory and type, together."""
    found: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)
    for each in tensors:
        if _is_plain(each) and each.numel():
            storage = each.untyped_storage()
            found[storage.data_ptr(), each.device, each.dtype].append(each)
    yield from found.values()


def _bounds(group: Iterable[Tensor]) -> tuple[int, int]:
    """Return the first element of the memory of views, at a cache line, and the end of it."""
    ends = [
        int(each.storage_offset())
        + sum((n - 1) * step for n, step in zip(each.shape, each.stride(), strict=True))
        for each in group
    ]
    first = min(int(each.storage_offset()) for each in group)
    line = max(_LINE_BYTES // next(iter(group)).element_size(), 1)
    return first // line * line, max(ends) + 1


def _flat(group: list[Tensor]) -> Tensor:
    """Return the memory of views as one tensor."""
    first, end = _bounds(group)
    flat = torch.empty(0, dtype=group[0].dtype, device=group[0].device)
    storage = group[0].untyped_storage()
    return flat.set_(storage, first, (end - first,), (1,))


def _copies(
    tensors: list[Tensor], device: str | None, dtype: torch.dtype | None
) -> dict[int, Tensor]:
    """Return copies by the id of the tensor, with the strides and the shared memory of these."""
    found: dict[int, Tensor] = {}
    for group in _groups(tensors):
        first, _ = _bounds(group)
        wanted = dtype if group[0].is_floating_point() else None
        flat = _flat(group).to(device or group[0].device, wanted, copy=True)
        for each in group:
            view = flat.as_strided(each.shape, each.stride(), each.storage_offset() - first)
            view = view.conj() if each.is_conj() else view
            found[id(each)] = torch._neg_view(view) if each.is_neg() else view  # noqa: SLF001
    for each in tensors:
        if id(each) not in found:
            is_usual = _is_plain(each) or isinstance(each, FakeTensor)
            wanted = dtype if each.is_floating_point() and is_usual else None
            goal = each.device if device is None or each.is_meta else device
            found[id(each)] = each.detach().to(goal, wanted, copy=True)
    return found


def _dressed(value: Tensor, like: Tensor, *, needs_grad: bool) -> Tensor:
    """Return a copied tensor with the class and the attributes of the user's."""
    needs_grad = needs_grad and (value.is_floating_point() or value.is_complex())
    if isinstance(like, nn.Parameter):
        return nn.Parameter(value, requires_grad=needs_grad)
    if type(value) is not type(like) and _is_plain(like):
        value = value.as_subclass(type(like))
    own = vars(like)
    if own:
        vars(value).update(copy.copy(own))
    return value.requires_grad_(needs_grad)
