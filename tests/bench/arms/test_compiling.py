"""bench.arms.compiling: a missing compiler, and cold and warm compiler caches."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._inductor.runtime.cache_dir_utils import cache_dir

from bench.arms.compiling import compile_in_place, mark_complete, missing_compiler, use_cache
from bench.records.errors import UnavailableError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache folder of the compilers; their environment is restored afterwards."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "before"))
    return tmp_path / "compiled"


def kept(folder: Path, key: str) -> Path:
    """Folder into which the compiler writes for a case."""
    use_cache(folder, key)
    return Path(cache_dir())


def test_a_folder_is_warm_after_a_whole_first_call(folder: Path) -> None:
    """A case's cache is cold until its first call is complete, and warm afterwards."""
    assert use_cache(folder, "a") == "cold"
    mark_complete(folder, "a")
    assert use_cache(folder, "a") == "warm"
    assert use_cache(folder, "b") == "cold"


def test_an_incomplete_cache_is_cleared(folder: Path) -> None:
    """The leftovers of an interrupted compilation are deleted, and the cache is cold."""
    (kept(folder, "a") / "code.so").write_text("half")
    assert use_cache(folder, "a") == "cold"
    assert not list(folder.rglob("code.so"))


def test_a_complete_cache_is_kept(folder: Path) -> None:
    """A complete cache keeps its compiled code."""
    code = kept(folder, "a") / "code.so"
    code.write_text("whole")
    mark_complete(folder, "a")
    assert kept(folder, "a") == code.parent
    assert code.read_text() == "whole"


def test_each_case_has_a_folder_of_its_own(folder: Path) -> None:
    """Each case has a folder directly below the common one, whatever its name holds."""
    places = [kept(folder, key) for key in ("B/16-model", "../..", "")]
    assert len(set(places)) == 3
    assert {place.parent for place in places} == {folder}
    assert Path(os.environ["TRITON_CACHE_DIR"]).is_relative_to(places[-1])


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the missing compiler and the remedy; otherwise there is none."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = missing_compiler()
    assert reason is not None
    assert "'no-such-compiler' is not on the PATH; install one" in reason
    with pytest.raises(UnavailableError, match="no-such-compiler"):
        compile_in_place(nn.Linear(2, 2), "compile")
    compile_in_place(nn.Linear(2, 2), "eager")
    monkeypatch.setenv("CXX", "true")
    assert missing_compiler() is None


class Blocks(nn.Module):
    """A module with two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("module", "how", "compiled"),
    [
        (nn.Linear, "compile", [""]),
        (nn.Linear, "compile_blocks", [""]),
        (Blocks, "compile", [""]),
        (Blocks, "compile_blocks", ["blocks.0", "blocks.1"]),
        (Blocks, "eager", []),
    ],
)
def test_compiled_modules(
    module: Callable[..., nn.Module],
    how: str,
    compiled: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The level compiles the whole or each block; a module without blocks counts as one."""
    monkeypatch.setenv("CXX", "true")
    made = module(2, 2) if module is nn.Linear else module()
    compile_in_place(made, how)
    found = [name for name, each in made.named_modules() if each._compiled_call_impl is not None]
    assert found == compiled
    torch.compiler.reset()
