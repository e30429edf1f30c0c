"""Records with defaults; keywords change single values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.estimates import PassEstimate
from bench.analysis.replication import Effect
from bench.analysis.rows import Analysis
from bench.analysis.uneven_load import UnevenLoad
from bench.analysis.verdicts import Controls
from bench.records.arm_costs import MeasuredMemory, PredictedMemory, Survey
from bench.records.calibration import Kind, Method, Rate
from bench.records.comparison import SCHEMA, Arm, Comparison, Workload
from bench.records.environment import Environment
from bench.records.notes import Note, NoteKind
from bench.records.plan import Plan
from bench.records.row import Record
from bench.records.sample import Sample

WORKLOAD = Workload(
    component="attention",
    variant="B/16",
    patch_size=16,
    image_size=224,
    batch_size=1,
    mode="forward",
    device="cpu",
)
RECORD = Record(
    schema=SCHEMA,
    run_id="20260102-030405",
    commit="0123456789abcdef",
    device="cpu",
    device_name="AMD EPYC 7B13",
    factor="attention",
    component="attention",
    variant="B/16",
    patch_size=16,
    image_size=224,
    batch_size=1,
    mode="forward",
    precision="fp32",
    cache="cold",
    baseline="mha",
    arm="manual",
    status="ok",
    passes=3,
    rounds=120,
    latency_ms=12.34,
    latency_low_ms=12.1,
    latency_high_ms=12.6,
    images_per_s=81.0,
    speedup=1.25,
    speedup_low=1.2,
    speedup_high=1.3,
    verdict="faster",
    detectable_effect=0.055,
    p_value=0.001,
    output_error=2.5e-7,
    disturbed=0,
)
NOT_MEASURED: dict[str, Any] = {
    "latency_ms": None,
    "latency_low_ms": None,
    "latency_high_ms": None,
    "wall_ms": None,
    "images_per_s": None,
    "speedup": None,
    "speedup_low": None,
    "speedup_high": None,
    "verdict": None,
    "detectable_effect": None,
    "p_value": None,
    "output_error": None,
    "gradient_error": None,
    "disturbed": None,
    "unsteady": None,
}
ENVIRONMENT = Environment(
    host="bench-1",
    os="Linux-6.1",
    python="3.12.1",
    torch="2.9.0",
    torch_build="PyTorch built with: GCC 11",
    cpu="AMD EPYC 7B13",
    cpu_flags=("avx2",),
    cores=2,
    threads=2,
    memory_bytes=8 * 2**30,
    last_level_cache_bytes=None,
    cxx=None,
    gpus=(),
    gpu_driver=None,
    cuda=None,
    commit="0123456789abcdef",
    dirty=False,
    packages={"torch": "2.9.0", "vitbench": None},
    import_torch_s=4.0,
)


def make_workload(**changes: Any) -> Workload:
    """Build the forward pass of B/16's attention on one image, on the CPU."""
    return replace(WORKLOAD, **changes)


def make_comparison(
    arm: str = "manual",
    *,
    baseline: str = "mha",
    factor: str = "attention",
    cache: str = "cold",
    **workload: Any,
) -> Comparison:
    """Build a comparison of two levels of a factor; further keywords change the workload."""
    return Comparison(
        factor=factor,
        workload=make_workload(**workload),
        baseline=replace(Arm(), **{factor: baseline}),
        arm=replace(Arm(), **{factor: arm}),
        cache=cache,
    )


def make_sample(comparison: Comparison, pass_index: int = 0, **changes: Any) -> Sample:
    """Build a sample of one pass: an arm of 8 ms, 1.25 times as fast as its baseline."""
    sample = Sample(
        key=comparison.key, pass_index=pass_index, baseline_s=(0.010,) * 6, arm_s=(0.008,) * 6
    )
    return replace(sample, **changes)


def make_record(**changes: Any) -> Record:
    """Build the row of a manual attention that is faster than nn.MultiheadAttention."""
    return replace(RECORD, **changes)


def make_environment(**changes: Any) -> Environment:
    """Build a machine of two cores without a GPU."""
    return replace(ENVIRONMENT, **changes)


def make_plan(**changes: Any) -> Plan:
    """Build the plan of a run of three passes over one comparison."""
    plan = Plan(
        run_id="20260102-030405",
        started="2026-01-02T03:04:05+00:00",
        command="vitbench run",
        passes=3,
        seed=0,
        budget_s=60.0,
        comparisons=(make_comparison(),),
    )
    return replace(plan, **changes)


def make_estimate(log_ratio: float = 0.0, **changes: Any) -> PassEstimate:
    """Build a pass of thirty pairs with a half-width of 0.3 % from its own noise."""
    return replace(PassEstimate(log_ratio, variance=1e-5, rounds=30), **changes)


def make_effect(log_ratio: float = 0.0, standard_error: float = 0.005, **changes: Any) -> Effect:
    """Build the effect of a comparison over a few passes with the usual spread."""
    return replace(Effect(log_ratio, standard_error, 6.0, standard_error), **changes)


def make_controls(**changes: Any) -> Controls:
    """Build three controls within the noise."""
    return replace(Controls(count=3, strayed=0, widening=1.0), **changes)


def make_note(text: str, kind: NoteKind = NoteKind.UNAVAILABLE, **changes: Any) -> Note:
    """Build a note on a value that could not be measured."""
    return replace(Note(kind=kind, subject="energy", text=text), **changes)


def make_analysis(
    records: Sequence[Record],
    controls: Mapping[str, Controls] | None = None,
    causes: Mapping[str, int] | None = None,
    left_out: int = 0,
    **uneven: Any,
) -> Analysis:
    """Build the analysis of a CPU run with normal controls; further keywords: uneven load."""
    return Analysis(
        list(records),
        {"cpu": make_controls()} if controls is None else dict(controls),
        widths={},
        causes=dict(causes or {}),
        left_out=left_out,
        notes={each.key: (make_note(each.note),) for each in records if each.note},
        uneven=UnevenLoad(**uneven),
    )


def make_survey(key: str = "", **changes: Any) -> Survey:
    """Build the survey of a case of 100 MiB and 2 GFLOP; its baseline has the limits."""
    survey = Survey(
        key=key,
        measured=MeasuredMemory(allocated_bytes=100 * 2**20, process_bytes=700 * 2**20),
        predicted=PredictedMemory(total_bytes=98 * 2**20, by_kind={"parameters": 98 * 2**20}),
        flop=2e9,
        moved_bytes=5e7,
        kernels=("MKL SGEMM", "flash attention"),
        top1_agreement=0.99,
    )
    return replace(survey, **changes)


def make_rate(method: Method = Method.RUN, kind: Kind = Kind.PLACEBO, **changes: Any) -> Rate:
    """Build a method's rates over twenty trials: none different, or all slower."""
    found = 0 if kind.is_equal else 20
    rate = Rate(
        method=method,
        kind=kind,
        truth=1.0 if kind.is_equal else 20 / 21,
        trials=20,
        different=found,
        slower=found,
        covered=0.95,
        half_width=0.012,
        low=0.0 if kind.is_equal else 0.832,
        high=0.168 if kind.is_equal else 1.0,
    )
    return replace(rate, **changes)
