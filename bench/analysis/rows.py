"""From the samples of all passes to the rows of ``results.csv``."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.analysis.intervals import Interval, geometric, pass_log_ratio
from bench.analysis.verdicts import verdict
from bench.record import SCHEMA, Comparison, Environment, Record, Sample

# The instructions without which a CPU computes a precision by converting to float32 and back.
_CPU_INSTRUCTIONS = {
    "amp_bf16": ("avx512_bf16", "amx_bf16"),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "amp_fp16": ("avx512_fp16", "amx_fp16"),
}


def rows(
    run_id: str,
    comparisons: Iterable[Comparison],
    samples: Iterable[Sample],
    environment: Environment,
) -> list[Record]:
    """One row for each comparison, in their order; those never reached are ``skipped``."""
    by_key: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_key[sample.key].append(sample)
    return [_row(run_id, each, by_key[each.key], environment) for each in comparisons]


def speedup(samples: Sequence[Sample]) -> Interval | None:
    """Baseline time / arm time over all passes that measured it; None where none did."""
    ratios = [pass_log_ratio(s.baseline_s, s.arm_s) for s in samples if s.arm_s]
    return geometric(ratios) if ratios else None


def _row(
    run_id: str, comparison: Comparison, samples: list[Sample], environment: Environment
) -> Record:
    workload, measured = comparison.workload, [s for s in samples if s.arm_s]
    status, error = _outcome(samples)
    return Record(
        schema=SCHEMA,
        run_id=run_id,
        commit=environment.commit,
        device=workload.device,
        device_name=environment.device_name(workload.device),
        factor=comparison.factor,
        component=workload.component,
        variant=workload.variant,
        patch_size=workload.patch_size,
        image_size=workload.image_size,
        batch_size=workload.batch_size,
        mode=workload.mode,
        precision=comparison.arm.precision,
        cache=comparison.cache,
        baseline=comparison.baseline_name,
        arm=comparison.arm_name,
        status=status,
        passes=len(measured),
        rounds=sum(len(sample.arm_s) for sample in measured),
        output_error=_first(sample.output_error for sample in samples),
        gradient_error=_first(sample.gradient_error for sample in samples),
        error=error,
        note=_note(comparison, environment),
        **(_times(workload.batch_size, measured, status) if measured else {}),
    )


def _times(batch_size: int, measured: list[Sample], status: str) -> dict[str, Any]:
    latency = _median_time(measured, lambda sample: sample.arm_s).scaled(1e3)
    walled = [sample for sample in measured if sample.arm_wall_s]
    wall = _median_time(walled, lambda sample: sample.arm_wall_s).scaled(1e3) if walled else None
    queued = [sample.arm_queued_s for sample in measured if sample.arm_queued_s is not None]
    call_s = statistics.median(queued) if queued else latency.value / 1e3
    ratio = speedup(measured)
    return {
        "latency_ms": latency.value,
        "latency_low_ms": latency.low,
        "latency_high_ms": latency.high,
        "wall_ms": wall.value if wall else None,
        "images_per_s": batch_size / call_s,
        "speedup": ratio.value if ratio else None,
        "speedup_low": ratio.low if ratio else None,
        "speedup_high": ratio.high if ratio else None,
        "verdict": verdict(ratio) if ratio and status == "ok" else None,
    }


def _median_time(samples: Sequence[Sample], times: Callable[[Sample], Sequence[float]]) -> Interval:
    return geometric([math.log(statistics.median(times(sample))) for sample in samples])


def _outcome(samples: Sequence[Sample]) -> tuple[str, str | None]:
    """Status and error of a row: a failure in any pass counts, then success, then being skipped."""
    failed = [sample for sample in samples if sample.status not in ("ok", "skipped")]
    if failed:
        return failed[0].status, failed[0].error
    if any(sample.status == "ok" for sample in samples):
        return "ok", None
    if samples:
        return "skipped", samples[0].error
    return "skipped", "the run ended before its turn"


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _note(comparison: Comparison, environment: Environment) -> str | None:
    needed = _CPU_INSTRUCTIONS.get(comparison.arm.precision)
    if comparison.workload.device != "cpu" or not needed:
        return None
    if set(needed) & set(environment.cpu_flags):
        return None
    return f"this CPU has no {' or '.join(needed)}: computed in float32 with conversions"
