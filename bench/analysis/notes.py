"""The status of a row, which of its arms moved while they were measured, and its notes."""

from collections.abc import Iterator, Sequence

from bench.analysis.limit_shares import is_beyond
from bench.analysis.trends import moved
from bench.analysis.uneven_load import uneven_notes
from bench.records.arm_costs import Survey
from bench.records.comparison import Comparison
from bench.records.environment import Environment
from bench.records.errors import ENDED_FIRST, advised
from bench.records.notes import Note, NoteKind
from bench.records.row import Record
from bench.records.sample import Sample

# Maximum relative error of a prediction.
_FAR_OFF = 0.05
# The instructions without which a CPU computes a precision by converting to float32 and back.
_CPU_INSTRUCTIONS = {
    "amp_bf16": ("avx512_bf16", "amx_bf16"),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "amp_fp16": ("avx512_fp16", "amx_fp16"),
}


def status_and_error(samples: Sequence[Sample]) -> tuple[str, str | None]:
    """Return status and error of a row: a failure in any pass, else success, else skipped."""
    failed = [sample for sample in samples if sample.status not in ("ok", "skipped")]
    if failed:
        return failed[0].status, _error(failed[0])
    if any(sample.status == "ok" for sample in samples):
        return "ok", None
    if samples:
        return "skipped", samples[0].error
    return "skipped", ENDED_FIRST


def _error(sample: Sample) -> str | None:
    """Return the error of a sample with its remedy, in words of the command line."""
    if sample.error is None:
        return None
    return advised(sample.error, sample.remedy.in_command if sample.remedy else None)


def unsteady(samples: Sequence[Sample]) -> str | None:
    """Return which arms moved while they were measured: ``arm 12 % faster at the end``."""
    changes = {
        "baseline": moved([(each.baseline_s, each.arm_s) for each in samples]),
        "arm": moved([(each.arm_s, each.baseline_s) for each in samples]),
    }
    parts = [
        f"{name} {abs(100 * change):.0f} % {'slower' if change > 0 else 'faster'} at the end"
        for name, change in changes.items()
        if change is not None
    ]
    return ", ".join(parts) or None


def row_notes(
    comparison: Comparison, samples: Sequence[Sample], environment: Environment
) -> Iterator[Note]:
    """Yield the notes of the passes and of the hardware on one row."""
    for text in dict.fromkeys(sample.note for sample in samples if sample.note):
        yield Note(kind=NoteKind.ACCEPTED, subject="outputs", text=text)
    on_cpu, precision = comparison.workload.device == "cpu", comparison.arm.precision
    yield from uneven_notes(samples)
    needed = _CPU_INSTRUCTIONS.get(precision, ()) if on_cpu else ()
    if needed and not set(needed) & set(environment.cpu_flags):
        text = f"this CPU has no {' or '.join(needed)}: computed in float32 with conversions"
        yield Note(kind=NoteKind.HARDWARE, subject=precision, text=text)
    lost = [sample for sample in samples if not sample.arm_s]
    if lost and len(lost) < len(samples) and lost[0].status == "skipped":
        text = f"skipped in {len(lost)} of {len(samples)} passes: {lost[0].error}"
        yield Note(kind=NoteKind.SKIPPED, subject="passes", text=text)


def cost_notes(record: Record, survey: Survey, baseline: Survey) -> Iterator[Note]:
    """Yield the notes of the cost surveys of an arm and of its baseline on the arm's row.

    ``record`` is the row with its costs; its status is that of the passes, and its share of the
    limit is as measured.
    """
    for note in survey.notes:
        if isinstance(note, Note):
            yield note
        else:
            yield Note(kind=NoteKind.UNAVAILABLE, subject="cost survey", text=note)
    if survey.error and record.status != "ok":
        yield Note(kind=NoteKind.INCONSISTENT, subject="FLOPs", text=survey.error)
    found, other = survey.measured, baseline.measured
    if found.status not in ("ok", record.status):
        text = f"cost survey {found.status}: {found.error}"
        yield Note(kind=NoteKind.SURVEY, subject="cost survey", text=text)
    yield from _inconsistencies(record)
    if found.status == "ok" and other.status != "ok":
        ending = f"cost survey of {record.baseline} ended with {other.status}"
        text = f"no memory ratio and no limit: {ending}"
        yield Note(kind=NoteKind.UNAVAILABLE, subject="memory ratio", text=text)


def _inconsistencies(record: Record) -> Iterator[Note]:
    """Yield a note for each value of a row that its error does not explain."""
    if record.prediction_error is not None and abs(record.prediction_error) > _FAR_OFF:
        text = "predicted memory off by more than 5 %: a library's own scratch is not predicted"
        yield Note(kind=NoteKind.INCONSISTENT, subject="predicted memory", text=text)
    if is_beyond(record):
        share = f"{record.limit_share:.2f} times its time"
        text = f"its own speed is the limit: its products alone take the libraries tried {share}"
        yield Note(kind=NoteKind.INCONSISTENT, subject="limit", text=text)
