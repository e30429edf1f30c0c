"""Histories of a few series over twenty days, for the trend's tables, charts and summaries."""

from dataclasses import replace
from typing import Any

import numpy as np

from bench.files.history_csv import Point

SLOWER = "precision B/16 model b1 forward cpu bf16"
STEADY = "patcher B/16 patcher b1 forward cpu conv"
SECOND: dict[str, Any] = {"device_name": "Intel Xeon", "cpu_flags": "avx2 amx_bf16"}


def point(series: str, day: int, ratio: float, **others: Any) -> Point:
    """Return a series' point in the run of one day."""
    made = Point(
        schema=2,
        time=f"2026-01-{day:02}T00:00:00+00:00",
        commit=f"{day:02}" * 20,
        run_id=f"run-{day:02}",
        device="cpu",
        device_name="AMD EPYC",
        torch="2.9.0",
        series=series,
        ratio=ratio,
        low=0.98 * ratio,
        high=1.02 * ratio,
        threads=2,
        cpu_flags="avx2 avx512_bf16",
        baseline="fp32",
    )
    return replace(made, **others)


def history(second: float | None = None, on_second: float = 1.1) -> list[Point]:
    """Return twenty days: one series is 10 % slower from the eleventh, another is not.

    With ``second``, two days of five are on a second kind of machine, where ratios are so much
    larger, and the slower series changes by the factor ``on_second``.
    """
    noise = np.random.default_rng(0).normal(1, 0.01, (2, 20))
    found = []
    for row, series in enumerate((SLOWER, STEADY)):
        for day in range(20):
            is_second = second is not None and day % 5 in (1, 3)
            after = (on_second if is_second else 1.1) if series == SLOWER and day >= 10 else 1.0
            level = (second or 1.0) if is_second else 1.0
            ratio = float(after * level * noise[row, day])
            found.append(point(series, day + 1, ratio, **(SECOND if is_second else {})))
    return found
