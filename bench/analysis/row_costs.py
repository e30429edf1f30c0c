"""Costs of each row's arm: from surveys and first calls to fields of ``Record``."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.limit_shares import limit_columns
from bench.analysis.notes import cost_notes
from bench.records.arm_costs import Case, MeasuredMemory, Survey
from bench.records.comparison import Arm, Comparison
from bench.records.notes import SEPARATOR, Note
from bench.records.row import KERNEL_SEPARATOR, Record
from bench.records.sample import Sample

_GIBI = 2**30
# Names of an arm, or of kernels.
_Key = tuple[str, ...]


def with_costs(
    record: Record,
    comparison: Comparison,
    samples: Sequence[Sample],
    surveys: Mapping[str, Survey],
) -> tuple[Record, tuple[Note, ...]]:
    """Return the row with the costs of its arm, and the notes of the cost surveys.

    Values that could not be measured stay None; the reason is a note. A run without surveys gets no
    notes either.
    """
    record = replace(record, **_compile(record, samples))
    if not surveys:
        return record, ()
    survey, baseline = (
        surveys.get(key) or _not_reached(key)
        for key in (_key(comparison, comparison.arm), _key(comparison, comparison.baseline))
    )
    record = replace(
        record,
        **_memory(survey, baseline),
        compile_extra_bytes=_compile_extra(comparison, survey, baseline),
        **_work(record, survey, baseline),
        **_survey_values(survey),
    )
    return replace(record, **_outcome(record, survey)), tuple(cost_notes(record, survey, baseline))


def _key(comparison: Comparison, arm: Arm) -> str:
    return Case(workload=comparison.workload, arm=arm).key


def _not_reached(key: str) -> Survey:
    error = "the run ended first; resume it or give a larger --budget"
    late = MeasuredMemory(status="skipped", error=error)
    return Survey(key=key, measured=late)


def _memory(survey: Survey, baseline: Survey) -> dict[str, Any]:
    found, predicted = survey.measured, survey.predicted
    need = predicted.total_bytes if predicted else None
    allocated = found.allocated_bytes
    other = baseline.measured.allocated_bytes
    return {
        "allocated_bytes": allocated,
        "reserved_bytes": found.reserved_bytes,
        "process_bytes": found.process_bytes,
        "unexplained_bytes": found.unexplained_bytes,
        "predicted_bytes": need,
        "prediction_error": need / allocated - 1 if need and allocated else None,
        "memory_ratio": allocated / other if allocated and other else None,
    }


def _compile_extra(comparison: Comparison, survey: Survey, baseline: Survey) -> int | None:
    """Return the bytes of a compiled arm's process beyond those of its eager baseline's."""
    if comparison.arm.compile == comparison.baseline.compile:
        return None
    found, other = survey.measured.process_bytes, baseline.measured.process_bytes
    return found - other if found is not None and other is not None else None


def _work(record: Record, survey: Survey, baseline: Survey) -> dict[str, Any]:
    """Return work and speed of the arm, and its share of the limit of its matrix products.

    FLOPs of vitcore depend on the workload alone, so the baseline's survey also has them; those of
    a user's own arms may differ.
    """
    flop, latency_ms = survey.flop, record.latency_ms
    if flop is None and record.variant is not None:
        flop = baseline.flop
    copied = baseline.copy_bytes_per_s or survey.copy_bytes_per_s
    return {
        "flop": flop,
        "moved_bytes": survey.moved_bytes,
        "gflop_per_s": flop / latency_ms / 1e6 if flop and latency_ms else None,
        **limit_columns(record, survey, baseline),
        "copy_gb_per_s": copied / 1e9 if copied else None,
    }


def _survey_values(survey: Survey) -> dict[str, Any]:
    graphs = survey.graphs
    return {
        "parameters": survey.parameters,
        "top1_agreement": survey.top1_agreement,
        "graph_breaks": graphs.breaks if graphs else None,
        "recompiles": graphs.recompiles if graphs else None,
        "kernels": KERNEL_SEPARATOR.join(survey.kernels) or None,
        "joules_per_image": survey.joules_per_image,
    }


def _outcome(record: Record, survey: Survey) -> dict[str, Any]:
    """Return status, error and verdict if the survey changes them."""
    found: dict[str, Any] = {}
    if survey.error and record.status == "ok":
        found = {"status": "wrong", "error": survey.error, "verdict": None}
    if record.status == "oom" and survey.predicted:
        need = f"predicted need: {survey.predicted.total_bytes / _GIBI:.2f} GiB"
        found["error"] = f"{record.error}; {need}" if record.error else need
    return found


def _compile(record: Record, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the times of first calls, and the images after which compiling has paid off."""
    cold_s, warm_s = (_first_s(samples, state) for state in ("cold", "warm"))
    return {
        "compile_cold_s": cold_s,
        "compile_warm_s": warm_s,
        "break_even_images": _break_even(record, cold_s, record.speedup),
        "break_even_low_images": _break_even(record, cold_s, record.speedup_high),
        "break_even_high_images": _break_even(record, cold_s, record.speedup_low),
    }


def _first_s(samples: Sequence[Sample], state: str) -> float | None:
    """Return the median seconds, over processes, of loading the compiler and the first call."""
    found = [
        each.first_call_s + (each.compiler_start_s or 0.0)
        for each in samples
        if each.first_call_s is not None and each.first_call_cache == state
    ]
    return statistics.median(found) if found else None


def _break_even(record: Record, first_s: float | None, speedup: float | None) -> float | None:
    """Return the images after which later calls have saved the first one's time; ``inf``: never.

    An arm's call takes t and its baseline's speedup x t, so each call saves (speedup - 1) x t.
    """
    batch_size, latency_ms = record.batch_size, record.latency_ms
    if first_s is None or speedup is None or batch_size is None or latency_ms is None:
        return None
    saved_s = (speedup - 1) * latency_ms / 1e3
    extra_s = max(first_s - latency_ms / 1e3, 0.0)
    return extra_s / saved_s * batch_size if saved_s > 0 else math.inf


def kernel_changes(records: Iterable[Record]) -> list[str]:
    """Return a line for each arm whose kernels differ between workloads.

    Kernels common to all workloads are left out. The usual arm, which several factors share, has
    the name of the first one.
    """
    found: dict[_Key, dict[_Key, list[str]]] = defaultdict(lambda: defaultdict(list))
    names: dict[_Key, str] = {}
    for record in records:
        if record.kernels:
            arm = () if record.is_usual else (record.factor, record.arm)
            key = (record.device, record.component, *arm)
            places = found[key][record.kernel_names]
            places += [place for place in [_place(record)] if place not in places]
            name = f"{record.factor} {record.arm} ({record.component}, {record.device})"
            names.setdefault(key, name)
    return [
        f"{names[key]} changed its kernels between workloads: {SEPARATOR.join(_differing(by))}"
        for key, by in found.items()
        if len(by) > 1
    ]


def _place(record: Record) -> str:
    if record.inputs is not None:
        return f"{record.inputs} {record.mode}"
    return f"{record.variant} b{record.batch_size} {record.mode}"


def _differing(by_kernels: Mapping[_Key, Sequence[str]]) -> Iterator[str]:
    """Yield the kernels that only some workloads dispatched, with those workloads."""
    sets = [set(kernels) for kernels in by_kernels]
    common = set.intersection(*sets)
    for kernels, places in zip(sets, by_kernels.values(), strict=True):
        others = ", ".join(sorted(kernels - common)) or "nothing else"
        yield f"{others} on {' and '.join(places)}"
