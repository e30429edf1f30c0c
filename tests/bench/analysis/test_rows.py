"""bench.analysis.rows: the samples of all passes become one row each, and one analysis."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.rows import Analysis, analyse, speedup
from bench.records.comparison import SCHEMA, Comparison
from bench.records.environment import Environment
from bench.records.errors import Remedy
from bench.records.row import Record
from bench.records.sample import Sample
from helpers.records import (
    NOT_MEASURED,
    make_comparison,
    make_environment,
    make_sample,
)

CANDIDATE = make_comparison("manual", batch_size=4)
CONTROL = make_comparison("mha", batch_size=4)
# Times of one pass, whose median is not their mean: 8 ms.
ARM_S = (0.008, 0.009, 0.007, 0.008, 0.050, 0.008)
BF16 = "avx512_bf16 or amx_bf16"
FP16 = "avx512_fp16 or amx_fp16"


def analysis_of(
    comparisons: Sequence[Comparison],
    samples: Sequence[Sample],
    environment: Environment | None = None,
) -> Analysis:
    """Analysis of a run of some comparisons."""
    return analyse("run", comparisons, samples, environment or make_environment())


def one_row(
    samples: Sequence[Sample],
    comparison: Comparison = CANDIDATE,
    environment: Environment | None = None,
) -> Record:
    """Row of a single comparison."""
    (row,) = analysis_of([comparison], samples, environment).records
    return row


def at(
    ratio: float, pass_index: int = 0, comparison: Comparison = CANDIDATE, arm_s: float = 0.008
) -> Sample:
    """A pass of equal ratios."""
    times = {"baseline_s": (ratio * arm_s,) * 6, "arm_s": (arm_s,) * 6}
    return make_sample(comparison, pass_index, **times)


def passes_at(comparison: Comparison, *ratios: float) -> list[Sample]:
    """A pass at each ratio."""
    return [at(ratio, index, comparison) for index, ratio in enumerate(ratios)]


def test_passes_are_merged() -> None:
    """Three passes make one row of geometric means with Student's intervals."""
    row = one_row([at(1.25, 0, arm_s=0.004), at(1.3, 1), at(1.35, 2, arm_s=0.016)])
    assert (row.status, row.error, row.passes, row.rounds) == ("ok", None, 3, 18)
    assert row.speedup == pytest.approx((1.25 * 1.3 * 1.35) ** (1 / 3))
    # By hand: Student's t is 4.3027 with 2 degrees of freedom, the logarithms' sd is 0.038483.
    assert (row.speedup_low, row.speedup_high) == pytest.approx((1.18090, 1.42970), rel=1e-4)
    assert row.verdict == "faster"
    # A t of 11.786 has this probability either way. With two degrees of freedom 6.9646 has 0.02,
    # the bar of a single verdict, and four in five lie above -1.0607.
    assert row.p_value == pytest.approx(0.00712, rel=1e-2)
    assert row.detectable_effect == pytest.approx(
        math.expm1((6.9646 + 1.0607) * 0.022218), rel=1e-3
    )
    assert row.latency_ms == pytest.approx(8.0)
    assert (row.latency_low_ms, row.latency_high_ms) == pytest.approx((1.4298, 44.761), rel=1e-3)


def test_latency_is_a_median() -> None:
    """One disturbed call does not change a pass's latency."""
    row = one_row([make_sample(CANDIDATE, arm_s=ARM_S, baseline_s=ARM_S)])
    assert row.latency_ms == pytest.approx(8.0)
    assert row.speedup == pytest.approx(1.0)


def test_one_pass_has_the_interval_of_the_prior_spread() -> None:
    """One pass gets an interval from the usual spread of 2 % between processes."""
    row = one_row([at(1.5)])
    assert (row.latency_ms, row.speedup) == pytest.approx((8.0, 1.5))
    assert (row.latency_low_ms, row.latency_high_ms) == (None, None)
    # Student's t is 2.7764 with 4 degrees of freedom.
    bounds = [1.5 * math.exp(sign * 2.7764 * 0.02) for sign in (-1, 1)]
    assert (row.speedup_low, row.speedup_high) == pytest.approx(tuple(bounds), rel=1e-4)


def test_rows_keep_the_order_of_the_comparisons() -> None:
    """Rows keep the grid's order and their own samples, in any order of measurement."""
    samples = [*passes_at(CANDIDATE, 1.25, 1.25), *passes_at(CONTROL, 1.0, 1.0)]
    control, candidate = analysis_of([CONTROL, CANDIDATE], samples).records
    assert (control.arm, control.baseline, control.is_control) == ("mha", "mha", True)
    assert (candidate.arm, candidate.baseline, candidate.is_control) == ("manual", "mha", False)
    assert (control.speedup, candidate.speedup) == pytest.approx((1.0, 1.25))
    assert (control.verdict, candidate.verdict) == ("equivalent", "faster")


@pytest.mark.parametrize(
    ("statuses", "status", "error"),
    [
        ("ok ok ok", "ok", None),
        ("ok oom ok", "oom", "oom in pass 1"),
        ("crashed oom", "crashed", "crashed in pass 0"),
        ("skipped ok", "ok", None),
        ("ok skipped skipped", "ok", None),
        ("skipped wrong", "wrong", "wrong in pass 1"),
        ("skipped skipped", "skipped", "skipped in pass 0"),
        ("", "skipped", "the run ended first; resume it or give a larger --budget"),
    ],
)
def test_status(statuses: str, status: str, error: str | None) -> None:
    """A failure in any pass sets the status; a row is skipped only if every pass was."""
    samples = [
        at(1.5, index)
        if each == "ok"
        else Sample(
            key=CANDIDATE.key, pass_index=index, status=each, error=f"{each} in pass {index}"
        )
        for index, each in enumerate(statuses.split())
    ]
    row = one_row(samples)
    assert (row.status, row.error, row.passes) == (status, error, statuses.split().count("ok"))


def test_failure_after_success_keeps_the_numbers() -> None:
    """Values measured before a failure are kept, without a verdict."""
    failed = make_sample(CANDIDATE, 2, status="crashed", error="killed", arm_s=(), baseline_s=())
    row = one_row([at(1.5, 0), at(1.5, 1), failed])
    assert (row.status, row.passes, row.verdict) == ("crashed", 2, None)
    assert row.speedup == pytest.approx(1.5)


def test_the_row_of_a_wrong_arm_names_the_accepting_option() -> None:
    """A row's error joins the error and the remedy of its sample."""
    wrong = make_sample(
        CANDIDATE, status="wrong", error="too far: give", remedy=Remedy.ALLOW_DIFFERENT
    )
    assert one_row([wrong]).error == "too far: give, or accept it with --allow-different"
    assert one_row([replace(wrong, remedy=None)]).error == "too far: give"


def test_missing_values_are_none() -> None:
    """Without a measurement every measured value is None, not zero."""
    row = one_row([])
    assert {name: getattr(row, name) for name in NOT_MEASURED} == NOT_MEASURED
    assert (row.passes, row.rounds) == (0, 0)
    assert speedup([]) is None


def test_speedup_so_far() -> None:
    """During a run one pass gives a value without bounds, two passes an interval."""
    first, both = (speedup(passes_at(CANDIDATE, 1.2, 1.3)[:count]) for count in (1, 2))
    assert first is not None
    assert both is not None
    assert first.value == pytest.approx(1.2)
    assert (first.low, first.high) == (None, None)
    assert (both.low or 0) < 1.2
    assert (both.high or 0) > 1.3
    assert both.value == pytest.approx(math.sqrt(1.2 * 1.3))


def test_identity_of_a_row() -> None:
    """A row has its run, commit, machine, workload and arms."""
    comparison = make_comparison(
        "bf16", factor="precision", baseline="fp32", device="cuda", cache="warm", mode="train"
    )
    row = one_row([], comparison, make_environment(gpus=("H200", "H100"), commit=None))
    assert (row.schema, row.run_id, row.commit) == (SCHEMA, "run", None)
    assert (row.device, row.device_name, row.cache) == ("cuda", "H200", "warm")
    assert (row.factor, row.baseline, row.arm, row.precision) == (
        *("precision", "fp32", "bf16", "bf16"),
    )
    assert (row.component, row.variant, row.mode) == ("attention", "B/16", "train")
    assert (row.patch_size, row.image_size, row.batch_size) == (16, 224, 1)
    assert row.inputs is None


def test_a_users_own_arms_have_inputs() -> None:
    """The row of a user's own arms has inputs, but no variant, sizes or images per second."""
    sizes: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
    comparison = make_comparison(
        "a.py:f", baseline="a.py:g", factor="factory", component="callable", inputs="1,8", **sizes
    )
    row = one_row([at(1.5, 0, comparison)], comparison)
    assert (row.inputs, row.arm, row.baseline) == ("1,8", "a.py:f", "a.py:g")
    assert (row.variant, row.batch_size, row.images_per_s) == (None, None, None)
    assert row.latency_ms == pytest.approx(8.0)


def test_images_from_latency() -> None:
    """Without queued calls images per second follow from the latency of a batch."""
    assert one_row([at(1.5)]).images_per_s == pytest.approx(4 / 0.008)


def test_images_from_the_queue() -> None:
    """With queued calls images per second follow from their median."""
    queued = (0.002, 0.001, 0.100, None)
    samples = [
        make_sample(CANDIDATE, index, arm_queued_s=queued_s)
        for index, queued_s in enumerate(queued)
    ]
    assert one_row(samples).images_per_s == pytest.approx(4 / 0.002)


def test_wall_time() -> None:
    """Wall time is in the row if both times were taken, and empty otherwise."""
    walled = make_sample(CANDIDATE, arm_wall_s=(0.009, 0.010, 0.090, 0.010, 0.010, 0.010))
    assert one_row([walled]).wall_ms == pytest.approx(10.0)
    assert one_row([at(1.5)]).wall_ms is None


@pytest.mark.parametrize("error", [0.0, 1e-7])
def test_errors_come_from_the_checked_pass(error: float) -> None:
    """The pass compared with float64 gives the row's errors; an error of 0 stays 0."""
    looked = make_sample(CANDIDATE, 1, output_error=error, gradient_error=2 * error)
    row = one_row([at(1.5, 0), looked, at(1.5, 2)])
    assert (row.output_error, row.gradient_error) == (error, 2 * error)


@pytest.mark.parametrize(
    ("precision", "flags", "lacking"),
    [
        ("bf16", ("avx2",), BF16),
        ("amp_bf16", (), BF16),
        ("amp_fp16", ("avx512_bf16",), FP16),
        ("bf16", ("avx512_bf16",), None),
        ("amp_bf16", ("amx_bf16",), None),
        ("amp_fp16", ("avx512_fp16",), None),
        ("fp32", (), None),
    ],
)
def test_note_on_the_cpu(precision: str, flags: tuple[str, ...], lacking: str | None) -> None:
    """A CPU without the instructions of a precision gets a note; CUDA does not."""
    note = f"this CPU has no {lacking}: computed in float32 with conversions" if lacking else None
    for device, expected in (("cpu", note), ("cuda", None)):
        comparison = make_comparison(precision, factor="precision", baseline="fp32", device=device)
        assert one_row([], comparison, make_environment(cpu_flags=flags)).note == expected
