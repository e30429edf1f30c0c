"""decomposed_ops: memory inside fused operators, against the allocator's measurement."""

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

pytestmark = pytest.mark.usefixtures("tiny")
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
# In float32 the size of every step is exact.
PRECISIONS = [("fp32", 0.0001), ("bf16", 0.05), ("amp_bf16", 0.05)]


def case(attention: str, *, kernel: str = "auto", precision: str = "fp32", **workload: Any) -> Case:
    """The attention alone, nearly all of it fused operators such as the fast path.

    It is narrow in float32, whose steps are exact. In a half type the library's own scratch, of
    which a share is predicted, would be too much of a narrow one.
    """
    variant = "Ti/16" if precision == "fp32" else "B/16"
    arm = Arm(attention=attention, kernel=kernel, precision=precision)
    return Case(workload=make_workload(**{"variant": variant} | workload), arm=arm)


def check(each: Case, tolerance: float) -> None:
    """Compare a case's prediction with the allocator's measurement."""
    predicted, measured = predict(each), alone.measure(each)
    assert measured.status == "ok"
    assert predicted.total_bytes == pytest.approx(measured.allocated_bytes, rel=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("attention", "kernel"), ARMS)
def test_inference_is_predicted(
    attention: str, kernel: str, precision: str, tolerance: float
) -> None:
    """Predictions are exact to a few bytes in float32, and within five percent in half types."""
    check(case(attention, kernel=kernel, batch_size=2, precision=precision), tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("attention", ["mha", "mha_weights"])
def test_the_fast_path_is_predicted_for_one_image(
    attention: str, precision: str, tolerance: float
) -> None:
    """One image shows the memory of fixed size that a batch would hide."""
    check(case(attention, precision=precision), tolerance)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp_bf16"])
@pytest.mark.parametrize(("attention", "kernel"), [("sdpa", "math"), ("mha", "no_fast_path")])
def test_training_is_predicted(attention: str, kernel: str, precision: str) -> None:
    """Training is predicted within five percent for each attention."""
    check(case(attention, kernel=kernel, batch_size=2, precision=precision, mode="train"), 0.05)


def test_only_attention_weights_keep_scores_on_a_gpu() -> None:
    """A fused kernel keeps no scores: 14 MiB for 8 images of 197 tokens and 12 heads."""
    fused, kept = (
        predict(case(name, batch_size=8, device="cuda", variant="B/16"))
        for name in ("mha", "mha_weights")
    )
    assert kept.total_bytes - fused.total_bytes > 10 * MEBI


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("attention", ["mha", "mha_weights"])
def test_the_steps_end_in_the_same_shape(device: str, attention: str) -> None:
    """Decomposed or not, the output has the same shape and type."""
    arm = build_candidate(Arm(attention=attention), make_workload(batch_size=2))
    expected = arm.output()
    with DecomposedOps(device):
        opened = arm.output()
    assert (opened.shape, opened.dtype) == (expected.shape, expected.dtype)


def test_other_operators_are_left_alone() -> None:
    """An arm without the fast path computes the same under decomposition."""
    arm = build_candidate(Arm(attention="sdpa"), make_workload())
    expected = arm.output()
    with DecomposedOps("cpu"):
        assert torch.equal(arm.output(), expected)
