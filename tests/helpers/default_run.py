"""The rows of a run of the default size: three variants, two batch sizes, two levels."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision
from bench.records.comparison import CHOICE, DEFAULT_ARM, Comparison
from bench.records.row import Record
from bench.runs.combination import decisions
from bench.runs.levels import REPEATED, at_precision
from bench.suite.grid import Selection, comparisons
from helpers.records import make_record

# Milliseconds of a call of the whole model, of which an attention has the share below.
_WHOLE_MS = {"B/16": 240.0, "L/16": 700.0, "H/14": 1800.0}
_SHARES = {"patcher": 0.006, "attention": 0.3, "block": 0.97, "model": 1.0}
# Speed-ups at full precision, and at bf16 where they differ; relative half-widths.
_SPEEDS = {
    "linear": 1.4,
    "unfold": 0.9,
    "mha_weights": 0.97,
    "manual": 0.9,
    "sdpa": 1.03,
    "compile": 1.05,
    "compile_blocks": 1.06,
    "bf16": 2.05,
    "amp_bf16": 1.83,
    "amp_fp16": 0.26,
}
_FASTER_AT_BF16 = {"sdpa": 1.08, "manual": 0.85, "compile_blocks": 1.09, "compile": 1.1}
_HALF = 0.012


def default_run(*, half: float = _HALF) -> list[Record]:
    """Build the rows of a run with its chosen combinations; ``half`` is the intervals' width."""
    first = list(comparisons(Selection()))
    second = [at_precision(each, "bf16") for each in first if each.factor in REPEATED]
    rows = [_row(each, half) for each in (*first, *second)]
    found = decisions(rows, Aim())
    wholes = {row.key: row for each in found for row in _choice(each, half)}
    return [*rows, *wholes.values()]


def _row(comparison: Comparison, half: float) -> Record:
    work, arm = comparison.workload, comparison.arm_name
    at_bf16 = comparison.baseline.precision == "bf16"
    speed = (_FASTER_AT_BF16 if at_bf16 else {}).get(arm, _SPEEDS.get(arm, 1.0))
    return make_record(
        **_place(comparison),
        **_numbers(speed, half, comparison.is_control),
        **_of_whole(comparison, speed, half),
        latency_ms=_ms(comparison) / speed,
        latency_low_ms=None,
        latency_high_ms=None,
        output_error=1e-2 if comparison.arm.precision == "bf16" else 1e-6,
        allocated_bytes=2**28,
        memory_ratio=0.5 if arm == "bf16" else 1.0,
        images_per_s=(work.batch_size or 1) * 1e3 / _ms(comparison) * speed,
    )


def _place(comparison: Comparison) -> dict[str, Any]:
    work = comparison.workload
    sizes = ("component", "variant", "patch_size", "image_size", "batch_size", "mode", "device")
    return {
        **{name: getattr(work, name) for name in sizes},
        "factor": comparison.factor,
        "precision": comparison.arm.precision,
        "cache": comparison.cache,
        "baseline": comparison.baseline_name,
        "arm": comparison.arm_name,
    }


def _ms(comparison: Comparison) -> float:
    work = comparison.workload
    whole_ms = _WHOLE_MS[work.variant or ""] * (work.batch_size or 1)
    if comparison.baseline.precision == "bf16":
        whole_ms /= 2
    return whole_ms * _SHARES[work.component] / (1 if work.component == "model" else 12)


def _numbers(speed: float, half: float, is_control: bool) -> dict[str, Any]:  # noqa: FBT001
    low, high = speed / (1 + half), speed * (1 + half)
    verdict = "faster" if low > 1 else "slower" if high < 1 else "undecided"
    return {
        "speedup": 1.0 if is_control else speed,
        "speedup_low": low,
        "speedup_high": high,
        "verdict": "undecided" if is_control else verdict,
        "detectable_effect": 2 * half,
    }


def _of_whole(comparison: Comparison, speed: float, half: float) -> dict[str, Any]:
    share = _SHARES[comparison.workload.component]
    if comparison.workload.component in ("block", "model") and not comparison.is_inside:
        share = 1.0
    low, value, high = (
        1 / (1 - share + share / each) - 1
        for each in (speed / (1 + half), speed, speed * (1 + half))
    )
    return {"of_whole": value, "of_whole_low": low, "of_whole_high": high}


def _choice(decision: Decision, half: float) -> Iterator[Record]:
    """Yield the rows of the default arm and of a decision's combination, unless it is a row."""
    place, expected = decision.situation, decision.expected
    if decision.arm == DEFAULT_ARM or decision.combined is not None:
        return
    component = "model" if (place.variant, place.batch_size) == ("B/16", 1) else "block"
    arm = decision.arm.as_part(component)
    for each in (DEFAULT_ARM, arm):
        comparison = Comparison(
            factor=CHOICE, workload=_workload(decision, component), baseline=DEFAULT_ARM, arm=each
        )
        speed = (expected.value if expected else 2.0) if each == arm else 1.0
        row, numbers = _row(comparison, half), _numbers(speed, half, each != arm)
        numbers |= _of_whole(comparison, speed, half)
        yield replace(row, **numbers, latency_ms=(row.latency_ms or 0.0) / speed)


def _workload(decision: Decision, component: str) -> Any:
    work = next(iter(comparisons(Selection()))).workload
    place = decision.situation
    sizes = {name: getattr(place, name) for name in ("variant", "patch_size", "batch_size")}
    return replace(work, component=component, **sizes)
