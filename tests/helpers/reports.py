"""A run with content for every section, and golden texts of its reports.

After an intended change, rewrite the texts and review the difference before the commit::

    VITBENCH_UPDATE_GOLDEN=1 python -m pytest tests/bench/report
"""

import os
from pathlib import Path
from typing import Any

from helpers.records import NOT_MEASURED, make_analysis, make_controls, make_record

GOLDEN = Path(__file__).parents[1] / "golden"
EQUIVALENT: dict[str, Any] = {
    "verdict": "equivalent",
    "speedup": 1.001,
    "speedup_low": 0.995,
    "speedup_high": 1.007,
    "detectable_effect": 0.009,
    "p_value": 0.7,
}
SLOWER = {"verdict": "slower", "speedup": 0.4, "speedup_low": 0.38, "speedup_high": 0.43}
WIDE: dict[str, Any] = {
    "verdict": "undecided",
    "speedup": 1.1,
    "speedup_low": 0.9,
    "speedup_high": 1.34,
    "detectable_effect": 0.31,
    "disturbed": 24,
    "unsteady": "arm 12 % faster at the end",
}
ONE_PASS: dict[str, Any] = {"verdict": "undecided", "passes": 1, "detectable_effect": 1.2}
OUT_OF_MEMORY = NOT_MEASURED | {"status": "oom", "error": "OutOfMemoryError: 3 GiB"}
PRECISION: dict[str, Any] = {
    "factor": "precision",
    "component": "model",
    "baseline": "fp32",
    "device": "cuda",
    "device_name": "NVIDIA H200",
}
NOTE = "this CPU has no avx512_bf16"
RUN = [
    make_record(arm="mha", **EQUIVALENT),
    make_record(arm="sdpa", **WIDE),
    make_record(of_whole=0.017, of_whole_low=0.0091, of_whole_high=0.0249),
    make_record(arm="mha", mode="train", latency_ms=1234.5, **ONE_PASS),
    make_record(mode="train", **OUT_OF_MEMORY),
    make_record(arm="sdpa", mode="train", **OUT_OF_MEMORY),
    make_record(arm="fp32", latency_ms=0.0567, **PRECISION | EQUIVALENT),
    make_record(arm="bf16", precision="bf16", note=NOTE, **PRECISION | SLOWER),
]
STRAY = make_controls(count=2, strayed=1, widening=1.625)
CAUSES = {"steal": 20, "memory": 4}
ANALYSIS = make_analysis(RUN, {"cpu": STRAY, "cuda": make_controls(count=1)}, CAUSES)


def check_golden(name: str, text: str) -> None:
    """Compare a text with its file; write the file first where the environment asks for it."""
    path = GOLDEN / name
    if os.environ.get("VITBENCH_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; see tests/helpers/reports.py"
