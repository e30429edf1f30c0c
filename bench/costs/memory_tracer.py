"""Trace every storage of a call from allocation to release, on real or fake tensors.

On fake tensors (shapes without memory) it predicts the memory of a call without its device. The
idea is that of ``torch.distributed._tools.MemTracker``.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from bench.analysis.memory_timeline import Block


@dataclass
class _Life:
    """One storage, alive from event ``born`` to ``died``; ``kind`` may be set later."""

    size_bytes: int
    kind: str
    born: int
    component: str
    died: int | None = None


class Tracker(TorchDispatchMode):
    """Record the allocation and the release of each storage that an operator returns.

    New storages are of kind ``temporaries`` until labelled. ``granule_bytes`` is the granularity
    of the device's allocator.
    """

    def __init__(self, granule_bytes: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.granule_bytes = granule_bytes
        self.events = 0
        self._component = ""
        self._lives: list[_Life] = []
        self._living: dict[int, _Life] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator and record the storages that it returns."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return result

    @contextmanager
    def inside(self, component: str) -> Iterator[None]:
        """Assign storages allocated inside to this component."""
        before, self._component = self._component, component
        try:
            yield
        finally:
            self._component = before

    def label(self, kind: str, tensors: Iterable[Tensor], component: str | None = None) -> None:
        """Set the kind, and optionally the component, of the storages of tensors."""
        for tensor in tensors:
            life = self._note(tensor)
            life.kind = kind
            if component is not None:
                life.component = component

    def relabel(self, before: str, after: str) -> None:
        """Change the kind ``before`` of live storages to ``after``."""
        for life in self._living.values():
            if life.kind == before:
                life.kind = after

    def blocks(self, since: int = 0) -> list[Block]:
        """Return the blocks alive at the event ``since`` or later."""
        return [
            Block(
                size_bytes=each.size_bytes,
                kind=each.kind,
                born=each.born,
                died=each.died,
                component=each.component,
            )
            for each in self._lives
            if each.died is None or each.died >= since
        ]

    def _note(self, tensor: Tensor) -> _Life:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001 (the only identity of a storage)
        if key not in self._living:
            steps = -(-storage.nbytes() // self.granule_bytes)
            size_bytes = steps * self.granule_bytes
            life = _Life(size_bytes, "temporaries", self.events, self._component)
            self.events += 1
            self._living[key] = life
            self._lives.append(life)
            weakref.finalize(storage, self._end, key)
        return self._living[key]

    def _end(self, key: int) -> None:
        self._living.pop(key).died = self.events
        self.events += 1
