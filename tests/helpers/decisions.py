"""Rows of a small run that can be chosen from; keywords change single values."""

from typing import Any

from bench.analysis.aim import Aim
from bench.analysis.decision import BEST, Decision, decide
from bench.records.comparison import CHOICE
from bench.records.row import Record
from helpers.records import NOT_MEASURED, make_record

_COMPONENTS = {"patcher": "patcher", "attention": "attention", CHOICE: "model"}
_BASELINES = {
    "patcher": "conv",
    "attention": "mha",
    "compile": "eager",
    "precision": "fp32",
    CHOICE: "plain",
}
# Milliseconds of the default arm: attention takes a quarter of a block.
_LATENCY_MS = {"patcher": 2.0, "attention": 5.0, "block": 20.0, "model": 260.0}


def control(factor: str, **changes: Any) -> Record:
    """Build the row of a factor's baseline."""
    component = changes.get("component", _COMPONENTS.get(factor, "block"))
    row = make_record(
        factor=factor,
        baseline=_BASELINES[factor],
        arm=_BASELINES[factor],
        component=component,
        latency_ms=_LATENCY_MS[component],
        speedup=1.0,
        speedup_low=0.98,
        speedup_high=1.02,
        verdict="undecided",
        memory_ratio=1.0,
    )
    return _with(row, changes)


def arm(factor: str, level: str, speedup: float = 1.0, **changes: Any) -> Record:
    """Build the row of an arm with this speed-up and an interval of 2 % to each side."""
    verdict = "faster" if speedup > 1.02 else "slower" if speedup < 0.98 else "undecided"
    row = control(factor)
    new = {
        "arm": level,
        "latency_ms": (row.latency_ms or 1.0) / speedup,
        "speedup": speedup,
        "speedup_low": speedup * 0.98,
        "speedup_high": speedup * 1.02,
        "verdict": verdict,
    }
    return _with(row, {**new, **changes})


def failed(factor: str, level: str, status: str) -> Record:
    """Build the row of an arm that was not measured."""
    return _with(arm(factor, level), {**NOT_MEASURED, "status": status, "error": "why"})


def _with(row: Record, changes: dict[str, Any]) -> Record:
    return make_record(**{**row.__dict__, **changes})


def repeats(whole: Record, part: str) -> int:
    """Return the repeats of a part: one attention per block, twelve per model, one patcher."""
    if whole.component == "block":
        return int(part == "attention")
    return 12 if part == "attention" else 1


def run(*more: Record) -> list[Record]:
    """Build a run: linear 10 % faster than conv, bf16 twice as fast as fp32, sdpa equal.

    Linear makes the whole 4 % faster.
    """
    of_whole = {"of_whole": 0.04, "of_whole_low": 0.03, "of_whole_high": 0.05}
    return [
        control("patcher"),
        arm("patcher", "linear", 1.1, **of_whole),
        arm("patcher", "unfold", 0.8),
        control("attention"),
        arm("attention", "sdpa"),
        control("precision"),
        arm("precision", "bf16", 2.0, output_error=1e-2, memory_ratio=0.5),
        *more,
    ]


def only(records: list[Record], aim: Aim | None = None) -> Decision:
    """Return the best of all of the only situation of some rows."""
    *_, found = decide(records, aim or Aim(), repeats)
    assert found.level == BEST
    return found
