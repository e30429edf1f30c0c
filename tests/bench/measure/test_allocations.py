"""bench.measure.allocations: what really was allocated, against tensors of known size."""

import subprocess
import sys

import torch

from bench.measure.allocations import live_bytes, peak_tensor_bytes
from bench.measure.room import room_bytes

MEBI = 2**20


def test_storages_count_once() -> None:
    """Views and repetitions share their memory."""
    tensor = torch.zeros(MEBI, dtype=torch.uint8)
    assert live_bytes([tensor, tensor[1:], tensor.view(2, -1)]) == MEBI
    assert live_bytes([tensor, tensor.clone()]) == 2 * MEBI
    assert live_bytes([]) == 0


def test_the_peak_is_of_what_lived_at_once() -> None:
    """Two tensors of three live together; what was there before is added."""
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
from bench.measure.allocations import peak_resident_bytes, reset_peak_resident
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
    """It rises with what is touched, and forgets what is gone; in a process of its own."""
    command = [sys.executable, "-c", WATCHED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, high, after = map(int, done.stdout.split())
    assert high - before > 200 * MEBI
    assert high - after > 200 * MEBI


def test_the_machine_has_room() -> None:
    """Free memory is known, and it is not all the memory in the world."""
    room = room_bytes("cpu")
    assert room is not None
    assert MEBI < room < 2**50
