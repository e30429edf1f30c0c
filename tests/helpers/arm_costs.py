"""Rows with the costs of their arms, as in a complete run."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from bench.records.arm_costs import computed_in
from bench.records.row import Record
from helpers.records import NOT_MEASURED, make_record
from helpers.reports import EQUIVALENT

VARIANTS = ("B/16", "L/16", "H/14")
COMPONENTS = ("patcher", "attention", "block", "model")
MEBI = 2**20
# FLOP of one image of B/16, and the least bytes that its call moves.
_WORK = {
    "patcher": (2.3e8, 3.6e6),
    "attention": (1.05e9, 1.55e7),
    "block": (2.9e9, 4.4e7),
    "model": (3.5e10, 3.6e8),
}
_SIZES = dict(zip(VARIANTS, (1.0, 3.5, 9.5), strict=True))
_LIMITS = {"fp32": 197.0, "bf16": 377.0, "fp16": 39.6}
_SPEEDUPS = {"fp32": 1.0, "amp_bf16": 1.7, "bf16": 2.1, "amp_fp16": 0.3}
_ERRORS = {"fp32": 1.7e-7, "amp_bf16": 1.9e-3, "bf16": 3.6e-3, "amp_fp16": 2.4e-4}

_PRECISION: dict[str, Any] = {
    "factor": "precision",
    "component": "model",
    "baseline": "fp32",
    "arm": "bf16",
    "precision": "bf16",
}


def make_costly(**changes: Any) -> Record:
    """Build the row of a whole model in bfloat16 with every cost present."""
    costs: dict[str, Any] = {
        "allocated_bytes": 172 * MEBI,
        "process_bytes": 735 * MEBI,
        "unexplained_bytes": 563 * MEBI,
        "predicted_bytes": 170 * MEBI,
        "prediction_error": -0.0116,
        "memory_ratio": 0.51,
        "flop": 3.5e10,
        "moved_bytes": 1.8e8,
        "gflop_per_s": 247.0,
        "limit_gflop_per_s": 377.0,
        "limit_share": 0.655,
        "limit_library": "oneDNN prepacked",
        "copy_gb_per_s": 33.6,
        "largest_error": 0.03,
        "top1_agreement": 0.994,
        "kernels": "flash attention; oneDNN inner_product brgemm:avx512_core_bf16",
        "joules_per_image": 4.2,
    }
    return make_record(**_PRECISION | costs | changes)


def precisions() -> Iterator[Record]:
    """Yield the rows of four precisions for every component of three variants."""
    for variant, component, (arm, speedup) in product(VARIANTS, COMPONENTS, _SPEEDUPS.items()):
        (flop, moved), size = _WORK[component], _SIZES[variant]
        limit = _LIMITS[computed_in(arm)]
        half = 2 if arm == "bf16" else 1
        share = {"fp32": 0.68, "amp_bf16": 0.48, "bf16": 0.66, "amp_fp16": 0.97}[arm]
        yield make_costly(
            variant=variant,
            component=component,
            arm=arm,
            precision=arm,
            speedup=speedup * (1 + 0.02 * VARIANTS.index(variant)),
            output_error=_ERRORS[arm] * (1 + COMPONENTS.index(component)),
            flop=flop * size,
            moved_bytes=moved * size / half,
            limit_gflop_per_s=limit * (0.9 + 0.1 * VARIANTS.index(variant) / 2),
            limit_share=share * (0.6 if component == "patcher" else 1),
            allocated_bytes=int(moved * size / half),
            predicted_bytes=int(0.97 * moved * size / half),
            process_bytes=int(560 * MEBI + moved * size / half),
        )


def make_compiled(speedup: float = 1.25, cold_s: float = 33.0, **changes: Any) -> Record:
    """Build the row of a compiled arm with this speed-up over a call of 0.2 s."""
    call_s, batch_size = 0.2 / speedup, changes.get("batch_size", 1)
    saved_s = 0.2 - call_s
    even = (cold_s - call_s) / saved_s * batch_size if saved_s > 0 else math.inf
    compiled: dict[str, Any] = {
        "factor": "compile",
        "baseline": "eager",
        "arm": "compile",
        "precision": "fp32",
        "speedup": speedup,
        "speedup_low": 0.99 * speedup,
        "speedup_high": 1.01 * speedup,
        "verdict": "faster" if speedup > 1 else "slower",
        "latency_ms": 1e3 * call_s,
        "compile_cold_s": cold_s,
        "compile_warm_s": cold_s / 4,
        "graph_breaks": 0,
        "recompiles": 2,
        "break_even_images": even,
        "compile_extra_bytes": 90 * MEBI,
        "break_even_low_images": even / 2,
        "break_even_high_images": math.inf,
    }
    return make_costly(**compiled | changes)


def compiles() -> list[Record]:
    """Build rows of two compile modes on four workloads; ``compile`` pays off on the first only."""
    places = (("B/16", "forward"), ("L/16", "forward"), ("B/16", "train"), ("H/14", "train"))
    return [
        make_compiled(speedup, cold_s, variant=variant, mode=mode, arm=arm)
        for (variant, mode), first in zip(places, (1.02, 0.99, 0.97, 0.9), strict=True)
        for arm, speedup, cold_s in (("compile", first, 33.0), ("compile_blocks", 1.25, 4.0))
    ]


# Out of memory: values computed from shapes only.
LOST = make_record(
    **_PRECISION,
    **NOT_MEASURED,
    status="oom",
    mode="train",
    error="OutOfMemoryError: 31 GiB; predicted need: 40.00 GiB",
    predicted_bytes=40 * 2**30,
    flop=1.05e11,
    moved_bytes=9e8,
    limit_gflop_per_s=377.0,
    limit_library="oneDNN prepacked",
    copy_gb_per_s=33.6,
)
_USUAL: dict[str, Any] = {
    "precision": "fp32",
    "memory_ratio": 1.0,
    "limit_gflop_per_s": 197.0,
    "kernels": "MKL SGEMM; flash attention",
}
# A run with every kind of row.
ROWS = [
    make_costly(arm="fp32", **_USUAL, **EQUIVALENT),
    make_costly(),
    LOST,
    make_costly(factor="compile", baseline="eager", arm="eager", **_USUAL, **EQUIVALENT),
    make_compiled(graph_breaks=1, kernels="inductor C++"),
    make_compiled(0.97, arm="compile_blocks", kernels=None, note="kernels not told: killed"),
]
