"""bench.costs.memory: memory peaks of an arm's call, by tensors and by process."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from bench.arms.candidate import Candidate, Work
from bench.arms.inputs import Inputs
from bench.costs import memory
from bench.costs.memory import memory_of
from bench.records.arm_costs import MeasuredMemory
from bench.records.comparison import Arm, Workload

MEBI = 2**20
# Bytes of the scalars in an expression, which are temporary tensors.
NUMBERS = 64
# One mebibyte.
X_ND = torch.ones(512, 512)


def measured(work: Work, mode: str = "forward", **levels: Any) -> MeasuredMemory:
    """Memory of a call on one mebibyte."""
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="given")
    arm = Candidate(Arm(**levels), workload, work, Inputs(args=(X_ND,)))
    with arm.surroundings():
        arm.once()
        return memory_of(arm)


def test_tensors_of_a_call() -> None:
    """The peak counts the input, a product and a sum, but no freed intermediate."""
    found = measured(lambda x_ND: ((x_ND * 2) + 1) * 3)
    assert found.status == "ok"
    assert found.allocated_bytes == pytest.approx(3 * MEBI, abs=NUMBERS)
    assert found.reserved_bytes is None


def test_tensors_of_a_training_step() -> None:
    """The peak counts weight, gradient, momentum, input, output and the loss's tensors."""
    linear = nn.Linear(512, 512, bias=False)
    found = measured(linear, "train", optimizer="sgd")
    assert found.allocated_bytes is not None
    assert 5 * MEBI <= found.allocated_bytes <= 9 * MEBI


def test_half_the_precision_takes_half() -> None:
    """In a half type input and output take half the bytes."""
    assert measured(torch.neg, precision="bf16").allocated_bytes == MEBI


def test_a_process_has_more_than_its_tensors() -> None:
    """The process's memory also holds Python, torch and its libraries."""
    found = measured(lambda x_ND: x_ND + 1)
    assert found.unexplained_bytes is not None
    assert found.unexplained_bytes > 100 * MEBI


def test_without_a_peak_reset_process_memory_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the resident peak cannot be reset, the process columns are empty."""
    monkeypatch.setattr(memory, "reset_peak_resident", lambda: False)
    found = measured(lambda x_ND: x_ND + 1)
    assert (found.process_bytes, found.unexplained_bytes) == (None, None)
    assert found.allocated_bytes == pytest.approx(2 * MEBI, abs=NUMBERS)


SEVERAL = """
import torch
from bench.arms.candidate import Candidate
from bench.costs.memory import memory_of
from bench.arms.inputs import Inputs
from bench.records.comparison import Arm, Workload

def look(pieces):
    workload = Workload(component="callable", mode="forward", device="cpu", inputs="given")
    x_ND = torch.ones(160, 160)
    work = lambda x_ND: [x_ND + 1 for _ in range(pieces)]
    arm = Candidate(Arm(), workload, work, Inputs(args=(x_ND,)))
    with arm.surroundings():
        arm.once()
        return memory_of(arm).process_bytes

look(1)
print(look(1), look(1500), look(1))
"""


def test_an_earlier_case_does_not_count() -> None:
    """The memory of many small tensors is returned before the next case's peak begins."""
    done = subprocess.run([sys.executable, "-c", SEVERAL], capture_output=True, check=True)
    before, large, after = map(int, done.stdout.split())
    assert large - before > 130 * MEBI
    assert after - before < 50 * MEBI
