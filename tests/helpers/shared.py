"""Values that are made once for all workers of a test run."""

import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """Return what the first worker that asks for ``name`` makes; others wait for it.

    What lies in a folder must not be changed: every worker has the same one.
    """
    base = factory.getbasetemp()
    folder = base.parent if base.name.startswith("popen-") else base
    path = folder / f"{name}.pickle"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            path.write_bytes(pickle.dumps(make()))
        value: T = pickle.loads(path.read_bytes())  # noqa: S301 (this run's own file)
    return value
