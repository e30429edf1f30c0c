"""bench.timing: clocks, caches, memory and environment on the machine that runs the tests."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from bench.files.run_folder import record_from
from bench.machine.environment import git, read_environment
from bench.records.environment import Environment
from bench.timing.clocks import WallClock, clock_for
from bench.timing.device import (
    flusher,
    fresh_memory,
    is_out_of_memory,
    last_level_cache_bytes,
    peak_bytes,
)
from bench.timing.rounds import timed

GIT = shutil.which("git") or "git"


def test_the_cpu_clock_is_the_wall_and_has_no_second_time() -> None:
    """The CPU's clock reads seconds of perf_counter and has no separate wall time."""
    clock = clock_for("cpu")
    before = time.perf_counter()
    assert before <= clock() <= time.perf_counter()
    assert clock.last_wall_s is None
    assert str(clock) == "wall"


def test_clock_includes_a_sleep() -> None:
    """The time of a call that sleeps is at least its sleep."""
    assert timed(lambda: time.sleep(0.02), WallClock()) >= 0.02


def test_flushing_streams_more_than_the_cache() -> None:
    """The CPU's flush reads a buffer of at least twice the last-level cache."""
    flush = flusher("cpu")
    cache_bytes = last_level_cache_bytes() or 0
    assert isinstance(flush(), torch.Tensor)
    assert flush.__self__.nbytes >= 2 * cache_bytes  # type: ignore[attr-defined]


def test_main_memory_has_no_device_peak() -> None:
    """A missing figure is None, never 0."""
    fresh_memory("cpu")
    assert peak_bytes("cpu") is None


def test_collector_skips_imported_objects() -> None:
    """In a process of the suite, imports are frozen and later objects are still collected."""
    code = (
        "import gc, weakref; from bench.timing.device import forget_imports, fresh_memory\n"
        "class Loop: pass\n"
        "forget_imports(); assert gc.get_freeze_count() > 1000; gc.disable()\n"
        "loop = Loop(); loop.itself = loop; dead = weakref.ref(loop); del loop\n"
        "assert dead() is not None; fresh_memory('cpu'); assert dead() is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_failed_allocation_is_out_of_memory() -> None:
    """The allocator's error counts as out of memory; another RuntimeError does not."""
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60, dtype=torch.int8)
    assert is_out_of_memory(failed.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("expected scalar type Float"))


def test_the_environment_describes_this_machine() -> None:
    """Versions, cores and devices are those of this process, and all survive JSON."""
    environment = read_environment()
    assert environment.torch == torch.__version__
    assert environment.threads == torch.get_num_threads()
    assert ("cuda" in environment.devices) is torch.cuda.is_available()
    assert environment.cpu
    assert environment.import_torch_s >= 0
    assert record_from(json.loads(json.dumps(asdict(environment))), Environment) == environment


def test_the_environment_prints_one_json_object() -> None:
    """As a program, the module prints the same record for the process that starts the passes."""
    command = [sys.executable, "-m", "bench.machine.environment"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert record_from(json.loads(done.stdout), Environment).python == read_environment().python


def test_the_commit_is_of_the_code_that_is_measured(tmp_path: Path) -> None:
    """An untracked folder has no commit, even inside another repository."""
    inside = tmp_path / "site-packages"
    inside.mkdir()
    subprocess.run([GIT, "init", "--quiet", str(tmp_path)], check=True)
    assert git("status", "--porcelain", folder=inside) is None
    (inside / "module.py").write_text("")
    subprocess.run([GIT, "-C", str(tmp_path), "add", "."], check=True)
    assert git("status", "--porcelain", folder=inside) == "A  site-packages/module.py"


def test_environment_module_does_not_import_torch() -> None:
    """Importing the module does not import torch, whose import is timed later."""
    code = "import sys, bench.machine.environment; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
