"""bench.arms.compiling: what this machine lacks, and when a compiler's cache is cold or warm."""

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
    """Where compilers keep what they made; afterwards they keep it where they did before."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "before"))
    return tmp_path / "compiled"


def kept(folder: Path, key: str) -> Path:
    """Where the compiler writes for a case."""
    use_cache(folder, key)
    return Path(cache_dir())


def test_a_folder_is_warm_after_a_whole_first_call(folder: Path) -> None:
    """It is cold for the first process, and warm for those after it; other cases are others."""
    assert use_cache(folder, "a") == "cold"
    mark_complete(folder, "a")
    assert use_cache(folder, "a") == "warm"
    assert use_cache(folder, "b") == "cold"


def test_what_was_half_made_is_no_cache(folder: Path) -> None:
    """Whoever was killed while it compiled leaves a part: the next one begins anew."""
    (kept(folder, "a") / "code.so").write_text("half")
    assert use_cache(folder, "a") == "cold"
    assert not list(folder.rglob("code.so"))


def test_what_is_whole_is_kept(folder: Path) -> None:
    """A warm folder holds what the compiler made in it."""
    code = kept(folder, "a") / "code.so"
    code.write_text("whole")
    mark_complete(folder, "a")
    assert kept(folder, "a") == code.parent
    assert code.read_text() == "whole"


def test_each_case_has_a_folder_of_its_own(folder: Path) -> None:
    """No case finds another's code, and all lie below one folder, whatever is in a name."""
    places = [kept(folder, key) for key in ("B/16-model", "../..", "")]
    assert len(set(places)) == 3
    assert {place.parent for place in places} == {folder}
    assert Path(os.environ["TRITON_CACHE_DIR"]).is_relative_to(places[-1])


def test_a_compiler_that_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is there; with the compiler nothing is missing."""
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
    """Something of which two parts are blocks."""

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
def test_what_is_compiled(
    module: Callable[..., nn.Module],
    how: str,
    compiled: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole, or each of its blocks; a block without blocks is one."""
    monkeypatch.setenv("CXX", "true")
    made = module(2, 2) if module is nn.Linear else module()
    compile_in_place(made, how)
    found = [name for name, each in made.named_modules() if each._compiled_call_impl is not None]
    assert found == compiled
    torch.compiler.reset()
