"""Records with sensible defaults: a test names only what it is about."""

from dataclasses import replace
from typing import Any

from bench.record import SCHEMA, Arm, Comparison, Environment, Record, Sample, Workload
from bench.store import Plan

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
    output_error=2.5e-7,
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
    "output_error": None,
    "gradient_error": None,
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
    """Build what one pass measured: an arm of 8 ms that is 1.25 times as fast as its baseline."""
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
