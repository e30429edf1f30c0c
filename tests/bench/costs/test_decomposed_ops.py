"""decomposed_ops: what operators take inside themselves, against what the allocator gives."""

from typing import Any

import pytest
import torch

from bench.arms.building import build_candidate
from bench.costs.decomposed_ops import DecomposedOps
from bench.costs.memory_prediction import predict
from bench.records.arm_costs import Case
from bench.records.comparison import Arm
from bench.worker import memory as alone
from helpers.records import make_workload

MEBI = 2**20
ARMS = [
    ("mha", "auto"),
    ("mha", "flash"),
    ("mha", "math"),
    ("mha", "no_fast_path"),
    ("mha_weights", "auto"),
    ("mha_weights", "no_fast_path"),
    ("manual", "auto"),
    ("sdpa", "auto"),
    ("sdpa", "math"),
]
# In float32 every step is known.
PRECISIONS = [("fp32", 0.0001), ("bf16", 0.05), ("amp_bf16", 0.05)]


def case(attention: str, *, kernel: str = "auto", precision: str = "fp32", **workload: Any) -> Case:
    """The attention of B/16 alone: operators, such as the fast path, are nearly everything."""
    arm = Arm(attention=attention, kernel=kernel, precision=precision)
    return Case(workload=make_workload(**workload), arm=arm)


def check(each: Case, tolerance: float) -> None:
    """Compare what is predicted of a case with what the allocator gave."""
    predicted, measured = predict(each), alone.measure(each)
    assert measured.status == "ok"
    assert predicted.total_bytes == pytest.approx(measured.allocated_bytes, rel=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("attention", "kernel"), ARMS)
def test_inference_is_predicted(
    attention: str, kernel: str, precision: str, tolerance: float
) -> None:
    """To the byte, nearly, in float32, and within five percent in halves."""
    check(case(attention, kernel=kernel, batch_size=3, precision=precision), tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("attention", ["mha", "mha_weights"])
def test_the_fast_path_is_predicted_for_one_image(
    attention: str, precision: str, tolerance: float
) -> None:
    """Without a batch that would hide what is of fixed size."""
    check(case(attention, precision=precision), tolerance)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp_bf16"])
@pytest.mark.parametrize(("attention", "kernel"), [("sdpa", "math"), ("mha", "no_fast_path")])
def test_training_is_predicted(attention: str, kernel: str, precision: str) -> None:
    """Within five percent, whichever kernel keeps what for backward."""
    check(case(attention, kernel=kernel, batch_size=2, precision=precision, mode="train"), 0.05)


def test_on_a_gpu_only_those_who_want_the_weights_pay_for_them() -> None:
    """A fused kernel keeps no scores: with 197 tokens and 12 heads they take 14 MiB of 8 images."""
    fused, kept = (
        predict(case(name, batch_size=8, device="cuda")) for name in ("mha", "mha_weights")
    )
    assert kept.total_bytes - fused.total_bytes > 10 * MEBI


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("attention", ["mha", "mha_weights"])
def test_the_steps_end_in_the_same_shape(device: str, attention: str) -> None:
    """Opened or not, the output is of the shape and type that the model goes on with."""
    arm = build_candidate(Arm(attention=attention), make_workload(batch_size=2))
    expected = arm.output()
    with DecomposedOps(device):
        opened = arm.output()
    assert (opened.shape, opened.dtype) == (expected.shape, expected.dtype)


def test_other_operators_are_left_alone() -> None:
    """Whatever is not the fast path computes what it always does."""
    arm = build_candidate(Arm(attention="sdpa"), make_workload())
    expected = arm.output()
    with DecomposedOps("cpu"):
        assert torch.equal(arm.output(), expected)
