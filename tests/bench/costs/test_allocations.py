"""bench.costs.memory: measured allocations, against tensors of known size."""

import subprocess
import sys

import pytest
import torch

from bench.costs import memory as allocations
from bench.costs.memory import (
    ProcessBaseline,
    live_bytes,
    peak_resident_bytes,
    peak_tensor_bytes,
    resident_bytes,
    trace_allocations,
)
from bench.machine.host import room_bytes

MEBI = 2**20


def test_storages_count_once() -> None:
    """Views and repeated tensors share one storage, which counts once."""
    tensor = torch.zeros(MEBI, dtype=torch.uint8)
    assert live_bytes([tensor, tensor[1:], tensor.view(2, -1)]) == MEBI
    assert live_bytes([tensor, tensor.clone()]) == 2 * MEBI
    assert live_bytes([]) == 0


def test_the_peak_counts_live_tensors() -> None:
    """The peak adds two live tensors of three to the memory in use before."""
    kept: list[torch.Tensor] = []

    def call() -> None:
        first = torch.zeros(3 * MEBI, dtype=torch.uint8)
        second = torch.zeros(2 * MEBI, dtype=torch.uint8)
        del first
        kept.append(second)
        torch.zeros(MEBI, dtype=torch.uint8)

    assert peak_tensor_bytes(call, 7 * MEBI) == 12 * MEBI


WATCHED = """
import torch
from bench.costs.memory import peak_resident_bytes, reset_peak_resident
resets = [reset_peak_resident()]
peaks = [peak_resident_bytes()]
large = torch.ones(256 * 2**20, dtype=torch.uint8)
peaks.append(peak_resident_bytes())
del large
resets.append(reset_peak_resident())
peaks.append(peak_resident_bytes())
assert all(resets)
print(*peaks)
"""


def test_resident_memory_has_a_peak_that_can_be_reset() -> None:
    """In a process of its own the peak rises with touched memory and falls after a reset."""
    command = [sys.executable, "-c", WATCHED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, high, after = map(int, done.stdout.split())
    assert high - before > 200 * MEBI
    assert high - after > 200 * MEBI


def test_the_machine_has_room() -> None:
    """Free memory has a plausible number of bytes."""
    room = room_bytes("cpu")
    assert room is not None
    assert MEBI < room < 2**50


def test_allocations_are_watched_with_the_ranges_around_them() -> None:
    """The trace has signed bytes in order, and begin and end of each component."""

    def call() -> None:
        with torch.profiler.record_function("vitbench::MLP"):
            kept.append(torch.zeros(3 * MEBI, dtype=torch.uint8))
        torch.zeros(MEBI, dtype=torch.uint8)

    kept: list[torch.Tensor] = []
    changes, ranges = trace_allocations(call, "cpu")
    assert [size for _, size in changes] == [3 * MEBI, MEBI, -MEBI]
    ((begin, end, name),) = ranges
    assert name == "MLP"
    assert begin <= changes[0][0] <= end <= changes[1][0]


def test_memory_left_by_earlier_cases_is_deducted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case's memory excludes earlier leftovers and includes the compiler's once loaded."""
    resident = iter([100, 180, 190, 240, 300, 310, 310, 312, 350])
    monkeypatch.setattr(allocations, "resident_bytes", lambda: next(resident))
    baseline = ProcessBaseline()
    baseline.begin()
    assert baseline.alone(230) == 100 + 230 - 180
    baseline.begin()
    baseline.compiler(lambda: None)
    assert baseline.alone(400) == 100 + 400 - 190
    baseline.begin()
    baseline.compiler(lambda: None)
    assert baseline.alone(330) == 100 + 330 - 310 + (300 - 240)
    baseline.begin()
    assert baseline.alone(360) == 100 + 360 - 350


def test_a_missing_peak_stays_missing() -> None:
    """Without a resident peak, as outside Linux, the result is None, not 0."""
    assert ProcessBaseline().alone(None) is None


def test_resident_memory_is_in_bytes() -> None:
    """Resident memory rises with touched memory, and its peak is no lower."""
    before = resident_bytes()
    large = torch.ones(256 * MEBI, dtype=torch.uint8)
    after, peak = resident_bytes(), peak_resident_bytes()
    assert peak is not None
    assert after - before > 200 * MEBI
    assert peak >= after - MEBI
    del large


def test_freed_memory_is_not_counted_for_the_next_case() -> None:
    """In a real process two equal cases have about the same peak."""
    code = (
        "import torch; from bench.costs.memory import *\n"
        "baseline = ProcessBaseline(); baseline.begin()\n"
        "for _ in range(2):\n"
        "    baseline.begin(); reset_peak_resident()\n"
        "    parts = [torch.ones(2**20) for _ in range(64)]; del parts\n"
        "    print(baseline.alone(peak_resident_bytes()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    assert abs(first - second) < 64 * MEBI
