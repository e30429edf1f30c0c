"""Modules whose contract in pyproject.toml forbids torch, loaded for real."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

_CONTRACTS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "tool"
]["importlinter"]["contracts"]


def torch_free() -> Iterator[str]:
    """Every module that a contract forbids to import torch."""
    for contract in _CONTRACTS:
        if "torch" in contract.get("forbidden_modules", ()):
            for name in contract["source_modules"]:
                yield name
                folders = getattr(import_module(name), "__path__", ())
                yield from (each.name for each in walk_packages(folders, f"{name}."))


def test_modules_without_torch_load_without_it() -> None:
    """Contracts do not follow every indirect import; this does, in a fresh process."""
    modules = list(torch_free())
    assert "bench.runs.run" in modules
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
