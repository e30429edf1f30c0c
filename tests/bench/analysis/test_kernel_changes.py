"""bench.analysis.row_costs: an arm whose kernels differ between workloads."""

from typing import Any

import pytest

from bench.analysis.row_costs import kernel_changes
from helpers.records import make_record


def test_a_change_of_kernels_is_reported() -> None:
    """The report lists the kernels of one arm that differ, each with its workload."""
    rows = [
        make_record(kernels="MKL SGEMM; flash attention"),
        make_record(kernels="MKL SGEMM; flash attention", variant="L/16"),
        make_record(kernels="MKL SGEMM; math attention", batch_size=64, mode="train"),
        make_record(kernels="MKL SGEMM", variant="H/14"),
        make_record(kernels=None, variant="S/16"),
    ]
    (line,) = kernel_changes(rows)
    assert line == (
        "attention manual (attention, cpu) changed its kernels between workloads: "
        "flash attention on B/16 b1 forward and L/16 b1 forward; "
        "math attention on B/16 b64 train; nothing else on H/14 b1 forward"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "L/16", "kernels": "flash"},
        {"variant": "L/16", "kernels": None},
        {"arm": "sdpa", "kernels": "math"},
        {"component": "model", "kernels": "math"},
        {"device": "cuda", "kernels": "math"},
        {"factor": "kernel", "kernels": "math"},
    ],
)
def test_no_change_of_kernels(other: dict[str, Any]) -> None:
    """Equal kernels, and those of another arm, component or device, are not a change."""
    assert kernel_changes([make_record(kernels="flash"), make_record(**other)]) == []


def test_a_shared_baseline_has_one_line() -> None:
    """An arm that is the baseline of several factors has one line, with each workload once."""
    rows = [
        make_record(factor=factor, arm=arm, component="model", variant=variant, kernels=kernels)
        for factor, arm in (("compile", "eager"), ("precision", "fp32"), ("optimizer", "adamw"))
        for variant, kernels in (("B/16", "flash"), ("L/16", "math"))
    ]
    (line,) = kernel_changes(rows)
    assert line.startswith("compile eager (model, cpu) changed its kernels between workloads: ")
    assert line.endswith(": flash on B/16 b1 forward; math on L/16 b1 forward")


def test_a_change_of_kernels_of_own_arms() -> None:
    """A user's own workloads are named by their inputs."""
    own = {"factor": "factory", "arm": "a.py:f", "component": "callable", "variant": None}
    rows = [
        make_record(**own, inputs=f"{rows},768", kernels=kernels, batch_size=None)
        for rows, kernels in ((1, "MKL SGEMV"), (64, "MKL SGEMM"))
    ]
    (line,) = kernel_changes(rows)
    assert line.endswith("MKL SGEMV on 1,768 forward; MKL SGEMM on 64,768 forward")
