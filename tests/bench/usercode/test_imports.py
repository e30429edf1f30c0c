"""bench.usercode.imports: two versions of one package in one process."""

import sys
from pathlib import Path

from bench.usercode.imports import import_from
from helpers.own_arms import write

WORK = """
from .numbers import REPEATS

class Work:
    pass
"""


def test_two_versions_are_imported_side_by_side(tmp_path: Path) -> None:
    """Each version imports its own neighbours and has its own entry in sys.modules."""
    trees = [tmp_path / "one", tmp_path / "two"]
    for number, tree in enumerate(trees):
        write(tree / "layers" / "__init__.py", "")
        write(tree / "layers" / "numbers.py", f"REPEATS = {number}")
        write(tree / "layers" / "work.py", WORK)
    found = [import_from(tree, "layers.work") for tree in trees]
    assert [module.REPEATS for module in found] == [0, 1]
    assert found[0] is import_from(trees[0], "layers.work")
    assert "layers" not in sys.modules
    assert all(sys.modules[module.__name__] is module for module in found)
    assert found[0].Work is not found[1].Work
