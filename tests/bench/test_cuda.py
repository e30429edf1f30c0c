"""On a GPU: every arm, the event clock, groups and parts of a model, memory, out of memory."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.arms.agreement import TOLERANCES, gradient_error, relative_error
from bench.arms.building import build_arms, build_reference
from bench.costs.memory_prediction import predict
from bench.machine.environment import read_environment
from bench.records.arm_costs import Case
from bench.records.comparison import FACTORS, MODES, Arm, Comparison, Workload
from bench.records.sample import Sample
from bench.records.task import SurveyJob
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_compile import GRID as COMPILE
from bench.suite.bench_kernels import GRID as KERNELS
from bench.suite.bench_layout import GRID as LAYOUT
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.bench_precision import GRID as PRECISION
from bench.suite.grid import Selection, expand
from bench.timing.clocks import EventClock, EventMarks, clock_for
from bench.timing.device import flusher, fresh_memory, peak_bytes
from bench.timing.rounds import timed
from bench.worker.group import measure_group
from bench.worker.inside import measure_inside
from bench.worker.memory import measure as alone
from bench.worker.session import measure
from bench.worker.survey import ArmSurvey
from helpers.jobs import make_group, make_job
from vitcore.config import VARIANTS

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
SELECTION = Selection(
    variants=("B/16",),
    devices=("cuda",),
    batch_sizes=(2,),
    component="block",
    factors=FACTORS,
)
GRIDS = (PATCHERS, ATTENTION, COMPILE, PRECISION, KERNELS, LAYOUT)
CASES = [comparison for grid in GRIDS for comparison in expand(grid, SELECTION)]
WHOLE = Selection(variants=("B/16",), devices=("cuda",), batch_sizes=(1,), component="model")


PARTS = replace(SELECTION, modes=("forward",), component="auto")


def sample_of(comparison: Comparison) -> Sample:
    """Measure one comparison on the GPU for a fifth of a second."""
    return measure(make_job(comparison, clock_for("cuda"), 0.2))


@pytest.mark.parametrize("comparison", CASES, ids=lambda c: c.key)
def test_arm_on_the_gpu_agrees_with_float64_on_the_cpu(comparison: Comparison) -> None:
    """Output and gradients of every arm are within the tolerance of its precision."""
    baseline, arm = build_arms(comparison)
    reference = build_reference(comparison, baseline)
    limit = TOLERANCES[comparison.arm.precision]
    if comparison.workload.mode == "forward":
        assert relative_error(arm.output(), reference.output()) <= limit
        return
    output_BX, gradients = arm.output_and_gradients()
    expected_BX, expected = reference.output_and_gradients()
    assert relative_error(output_BX, expected_BX) <= limit
    assert gradient_error(gradients, expected) <= limit


def test_fp32_is_not_tf32() -> None:
    """The fp32 arm is far more exact than TF32 could be."""
    comparison = next(c for c in CASES if c.factor == "precision" and c.arm_name == "fp32")
    baseline, arm = build_arms(comparison)
    reference = build_reference(comparison, baseline)
    assert relative_error(arm.output(), reference.output()) < 1e-5


def test_tf32_covers_forward_and_backward() -> None:
    """The TF32 arm is less exact than fp32 in both directions, and leaves fp32 exact behind."""
    case = next(c for c in CASES if c.arm_name == "tf32" and c.workload.mode == "train")
    errors = {}
    for arm in (case.baseline, case.arm, case.baseline):
        baseline, candidate = build_arms(replace(case, arm=arm))
        _, expected = build_reference(case, baseline).output_and_gradients()
        errors[arm.precision] = gradient_error(candidate.output_and_gradients()[1], expected)
    assert errors["fp32"] < 1e-5 < errors["tf32"]


def test_event_time_is_within_wall_time() -> None:
    """The device time of a call is positive and no longer than its synchronised wall time."""
    clock, x_NN = EventClock(), torch.randn(4096, 4096, device="cuda")
    for _ in range(10):
        device_s = timed(lambda: x_NN @ x_NN, clock)
        assert clock.last_wall_s is not None
        assert 0 < device_s <= clock.last_wall_s


def test_a_sample_has_both_times_and_the_queued_one() -> None:
    """Every CUDA sample has device, wall and queued times and the peak of memory."""
    sample = sample_of(CASES[0])
    assert sample.status == "ok"
    assert len(sample.arm_wall_s) == len(sample.arm_s) == len(sample.baseline_wall_s)
    assert sample.arm_queued_s is not None
    assert sample.arm_queued_s > 0
    assert sample.peak_memory_bytes


def test_the_peak_starts_anew_with_each_case() -> None:
    """The peak of a small case excludes that of the large one before it."""
    fresh_memory("cuda")
    large = torch.empty(2**28, device="cuda")
    high = peak_bytes("cuda") or 0
    del large
    fresh_memory("cuda")
    assert high >= 2**30
    assert (peak_bytes("cuda") or 0) < 2**29


def test_out_of_memory_is_a_status_and_the_next_case_runs() -> None:
    """A case above the memory limit is ``oom``, and the next comparison is measured."""
    case = next(c for c in CASES if c.factor == "attention" and not c.is_control)
    huge = replace(case, workload=replace(case.workload, batch_size=512))
    torch.cuda.set_per_process_memory_fraction(0.005)
    try:
        assert sample_of(huge).status == "oom"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sample_of(case).status == "ok"


def test_spans_between_marks_are_device_time() -> None:
    """The parts of a call take device time, in all no more than the call takes by the wall."""
    marks, x_NN = EventMarks(), torch.randn(4096, 4096, device="cuda")
    torch.cuda.synchronize()
    start_s = time.perf_counter()
    marks.begin()
    for repeats in (1, 8):
        for _ in range(repeats):
            x_NN = x_NN @ x_NN / 64
        marks.mark()
    one_s, eight_s = marks.spans_s()
    assert 0 < one_s < eight_s
    assert one_s + eight_s <= time.perf_counter() - start_s


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_arms_that_take_turns_have_all_times(cache: str) -> None:
    """Arms of a group have device, wall and queued times of the same rounds."""
    group = list(expand(ATTENTION, replace(PARTS, cache=cache)))
    samples = measure_group(make_group(*group, seconds=0.3, clock=clock_for("cuda")))
    for each in samples:
        assert (each.status, each.error) == ("ok", None)
        assert len(each.arm_s) == len(each.arm_wall_s) == len(each.baseline_wall_s) > 0
        assert (each.arm_queued_s or 0) > 0
        assert each.resolution_s == EventClock.resolution_s
    assert {each.baseline_s[:6] for each in samples} == {samples[0].baseline_s[:6]}


def test_parts_are_measured_inside_a_model_in_device_time() -> None:
    """Attentions and patchers have pairs, a share of the model and the resolution of events."""
    group = [each for grid in (ATTENTION, PATCHERS) for each in expand(grid, PARTS)]
    assert all(each.is_inside for each in group)
    samples = measure_inside(make_group(*group, seconds=0.5, clock=clock_for("cuda")))
    for each in samples:
        assert (each.status, each.error) == ("ok", None)
        assert len(each.arm_s) == len(each.baseline_s) > 0
        assert 0 < (each.share or 0) < 1
        assert 0 < each.timed_s <= each.measure_s
        assert each.resolution_s == EventClock.resolution_s


@pytest.mark.slow
def test_compile_modes_take_turns_and_are_compiled_once(tmp_path: Path) -> None:
    """CUDA graphs of several arms live beside each other; none is compiled in the rounds."""
    from torch._dynamo.utils import counters

    graphs: list[int] = []

    def measuring_s(_: float) -> float:
        graphs.append(counters["stats"]["unique_graphs"])
        return 1.0

    names = ("eager", "compile", "reduce_overhead")
    whole = replace(WHOLE, modes=("forward",))
    group = [each for each in expand(COMPILE, whole) if each.arm_name in names]
    session = make_group(
        *group, clock=clock_for("cuda"), compiled=tmp_path, measuring_s=measuring_s
    )
    assert [each.status for each in measure_group(session)] == ["ok"] * len(names)
    assert counters["stats"]["unique_graphs"] == graphs[0]


def test_flushing_covers_the_l2() -> None:
    """The flushed buffer is at least twice the L2 cache."""
    buffer = flusher("cuda")()
    assert isinstance(buffer, torch.Tensor)
    assert buffer.nbytes >= 2 * torch.cuda.get_device_properties(0).L2_cache_size


def test_the_environment_names_the_gpu() -> None:
    """Name, driver and CUDA version are recorded, and cuda is an available device."""
    environment = read_environment()
    assert environment.gpus[0] == torch.cuda.get_device_name(0)
    assert environment.gpu_driver
    assert environment.cuda == torch.version.cuda
    assert environment.devices == ("cpu", "cuda")


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["compile", "reduce_overhead", "max_autotune"])
def test_compile_modes_run_and_agree(arm: str) -> None:
    """Whole-model modes, with CUDA graphs, agree with eager and record the first call."""
    case = next(c for c in expand(COMPILE, WHOLE) if c.arm_name == arm)
    sample = sample_of(case)
    assert (sample.status, sample.error) == ("ok", None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", ["B/16", "L/16", "H/14"])
def test_memory_is_predicted_within_five_percent(variant: str, mode: str) -> None:
    """Predictions match max_memory_allocated, which reserved and driver's memory include."""
    for batch_size in (1, 8):
        case = case_of(variant=variant, mode=mode, batch_size=batch_size)
        measured = alone(case)
        assert measured.status == "ok"
        assert measured.allocated_bytes
        predicted = predict(case).total_bytes
        assert predicted == pytest.approx(measured.allocated_bytes, rel=0.05)
        assert (measured.reserved_bytes or 0) >= measured.allocated_bytes
        if measured.process_bytes is not None:
            assert measured.process_bytes >= (measured.reserved_bytes or 0)


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_loop", "adamw_fused", "sgd"])
def test_optimizers_memory_is_predicted(optimizer: str) -> None:
    """State and temporary memory of each optimizer are predicted at a GPU's precision."""
    levels = {"optimizer": optimizer, "precision": "amp_bf16"}
    case = case_of(variant="B/16", mode="train", batch_size=8, **levels)
    assert predict(case).total_bytes == pytest.approx(alone(case).allocated_bytes, rel=0.05)


def test_a_survey_has_every_cost() -> None:
    """A survey has kernels, limits in both precisions, bandwidth and three memory figures."""
    control = next(c for c in CASES if c.factor == "attention" and c.workload.mode == "forward")
    found = ArmSurvey(SurveyJob(comparison=control, limits=("fp32", "bf16")), None).survey()
    assert (found.measured.status, found.error) == ("ok", None)
    assert found.kernels
    assert set(found.limits) == {"fp32", "bf16"}
    assert all(0 < limit.time_ratio < 1.2 for limit in found.limits.values())
    assert found.limits["bf16"].gflop_per_s > found.limits["fp32"].gflop_per_s
    assert (found.copy_bytes_per_s or 0) > 1e11
    assert found.top1_agreement is not None


def case_of(*, variant: str, mode: str, batch_size: int, **levels: str) -> Case:
    """A whole model on the GPU."""
    workload = Workload(
        component="model",
        mode=mode,
        device="cuda",
        variant=variant,
        patch_size=VARIANTS[variant]["patch_size"],
        image_size=224,
        batch_size=batch_size,
    )
    return Case(workload=workload, arm=Arm(**levels))
