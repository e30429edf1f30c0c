"""Values made once for all workers of a test session."""

import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """Return the value of ``name``, made by the first worker; the others wait for it.

    Folders in the value are shared by all workers and must not be changed.
    """
    base = factory.getbasetemp()
    folder = base.parent if base.name.startswith("popen-") else base
    path = folder / f"{name}.pickle"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            path.write_bytes(pickle.dumps(make()))
        value: T = pickle.loads(path.read_bytes())  # noqa: S301 (a file of this test run)
    return value
