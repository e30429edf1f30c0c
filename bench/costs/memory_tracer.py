"""Follows every storage of a call from birth to death, on tensors that may be fake.

On fake tensors (shapes without memory) it predicts what a call needs on a machine that may not even
have the device. The idea is that of ``torch.distributed._tools.MemTracker``.
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
    """One storage; ``kind`` may be told later."""

    size_bytes: int
    kind: str
    born: int
    component: str
    died: int | None = None


class Tracker(TorchDispatchMode):
    """Notes each storage that an operator makes, and when it goes.

    What is born gets the kind ``temporaries``, until somebody says what it is. ``granule_bytes`` is
    the step in which the device's allocator gives memory.
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
        """Run an operator and note what it returns."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return result

    @contextmanager
    def inside(self, component: str) -> Iterator[None]:
        """What is born inside belongs to this component."""
        before, self._component = self._component, component
        try:
            yield
        finally:
            self._component = before

    def name(self, kind: str, tensors: Iterable[Tensor], component: str | None = None) -> None:
        """Say what the storages of these tensors are, and what they belong to."""
        for tensor in tensors:
            life = self._note(tensor)
            life.kind = kind
            if component is not None:
                life.component = component

    def rename(self, before: str, after: str) -> None:
        """Give the living storages of one kind another."""
        for life in self._living.values():
            if life.kind == before:
                life.kind = after

    def blocks(self, since: int = 0) -> list[Block]:
        """What lived at the event ``since`` or later."""
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
        key = storage._cdata  # noqa: SLF001 (the one name of a storage)
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
