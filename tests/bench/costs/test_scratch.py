"""bench.costs.scratch: memory of a product beside its output, with this CPU's kernels."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.costs import scratch
from bench.costs.memory import peak_tensor_bytes
from bench.costs.memory_prediction import predict
from bench.costs.scratch import attention_scratch_bytes, product_scratch_bytes
from bench.records.arm_costs import Case
from bench.records.comparison import Arm
from helpers.records import make_workload

ATEN = torch.ops.aten
ATTENTION = ATEN._scaled_dot_product_flash_attention_for_cpu.default
BFLOAT16 = torch.bfloat16
# A cap above what the CPU has would change nothing.
HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
ISAS = ["AVX2", *(("AVX512_CORE", "AVX512_CORE_BF16") if HAS_AVX512 else ())]
# Predict, then measure, in a process in which oneDNN's instruction set is capped.
BOTH = """
import json, sys
from bench.worker import memory as alone
from bench.costs.memory_prediction import predict
from bench.records.arm_costs import Case
from bench.files.run_folder import record_from
case = record_from(json.loads(sys.argv[1]), Case)
print(predict(case).total_bytes, alone.measure(case).allocated_bytes)
"""


def test_scratch_by_shapes_is_that_of_real_products() -> None:
    """Scratch by shapes alone equals that of a product of real numbers."""
    left, right = torch.ones(300, 200, dtype=BFLOAT16), torch.ones(400, 200, dtype=BFLOAT16)
    (left @ right.t()).sum()
    taken = peak_tensor_bytes(lambda: torch.mm(left, right.t()), 0) - 2 * 300 * 400
    with FakeTensorMode():
        fake_left, fake_right = (torch.empty(n, 200, dtype=BFLOAT16) for n in (300, 400))
        assert product_scratch_bytes(ATEN.mm.default, fake_left, fake_right.t()) == taken


def test_scratch_of_large_products_needs_no_operands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operands of 2 TiB are never allocated."""
    # Without instructions for bfloat16 the largest product would take ten seconds.
    monkeypatch.setattr(scratch, "_MOST_MULTIPLICATIONS", 2**26)
    with FakeTensorMode():
        left, right = torch.empty(2**30, 2**10, dtype=BFLOAT16), torch.empty(2**10, 2**10)
        assert 0 <= product_scratch_bytes(ATEN.mm.default, left, right) < 2**32


def test_scratch_of_attention_grows_with_the_batch() -> None:
    """Beyond the largest batch asked of the library, scratch grows in proportion to the batch."""
    with FakeTensorMode():
        one, many = (torch.empty(n, 4, 512, 64, dtype=BFLOAT16) for n in (32, 2**20))
        asked, scaled = (attention_scratch_bytes(ATTENTION, each, each) for each in (one, many))
    assert 0 < scaled == asked * 2**15


@pytest.mark.parametrize("isa", ISAS)
def test_prediction_holds_for_other_kernels(isa: str) -> None:
    """AVX-512 without bfloat16 uses a third of the attention's memory as scratch."""
    case = Case(workload=make_workload(batch_size=3), arm=Arm(attention="sdpa", precision="bf16"))
    done = subprocess.run(
        [sys.executable, "-c", BOTH, json.dumps(asdict(case))],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
        capture_output=True,
        text=True,
        check=True,
    )
    predicted, allocated = map(int, done.stdout.split())
    assert predicted == pytest.approx(allocated, rel=0.01)


def test_a_prediction_for_another_device_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prediction for CUDA does not ask the CPU's library."""
    monkeypatch.setattr("bench.costs.scratch.peak_tensor_bytes", pytest.fail)
    case = Case(workload=make_workload(device="cuda"), arm=Arm(precision="bf16"))
    assert predict(case).total_bytes > 0
