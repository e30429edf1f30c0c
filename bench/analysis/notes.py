"""What is to be said of a row besides its numbers: its status, what was unsteady, and notes.

``Record.note`` holds a row's notes as one text, with ``BETWEEN`` them and in none of them.
"""

from collections.abc import Iterator, Sequence

from bench.analysis.estimates import is_trending
from bench.records.comparison import Comparison, Sample
from bench.records.environment import Environment
from bench.records.errors import advised

BETWEEN = "; "
# The instructions without which a CPU computes a precision by converting to float32 and back.
_CPU_INSTRUCTIONS = {
    "amp_bf16": ("avx512_bf16", "amx_bf16"),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "amp_fp16": ("avx512_fp16", "amx_fp16"),
}


def outcome(samples: Sequence[Sample]) -> tuple[str, str | None]:
    """Status and error of a row: a failure in any pass counts, then success, then being skipped."""
    failed = [sample for sample in samples if sample.status not in ("ok", "skipped")]
    if failed:
        return failed[0].status, _error(failed[0])
    if any(sample.status == "ok" for sample in samples):
        return "ok", None
    if samples:
        return "skipped", samples[0].error
    return "skipped", "the run ended before its turn"


def _error(sample: Sample) -> str | None:
    """Return the error of a sample with its remedy, in words of the command line."""
    if sample.error is None:
        return None
    return advised(sample.error, sample.remedy.in_command if sample.remedy else None)


def unsteady(samples: Sequence[Sample]) -> str | None:
    """Which arms had not settled, in how many passes: ``arm in 1 of 3 passes``."""
    found: dict[str, int] = {}
    for sample in samples:
        trending = {
            "baseline": is_trending(sample.baseline_s, sample.arm_s),
            "arm": is_trending(sample.arm_s, sample.baseline_s),
        }
        for name in ("baseline", "arm"):
            if trending[name] or name in sample.unsettled:
                found[name] = found.get(name, 0) + 1
    parts = [f"{name} in {count} of {len(samples)} passes" for name, count in found.items()]
    return ", ".join(parts) or None


def notes(comparison: Comparison, samples: list[Sample], environment: Environment) -> Iterator[str]:
    """What a reader should know of a row, besides its numbers."""
    yield from dict.fromkeys(one_note(sample.note) for sample in samples if sample.note)
    on_cpu = comparison.workload.device == "cpu"
    needed = _CPU_INSTRUCTIONS.get(comparison.arm.precision, ()) if on_cpu else ()
    if needed and not set(needed) & set(environment.cpu_flags):
        yield f"this CPU has no {' or '.join(needed)}: computed in float32 with conversions"
    lost = [sample for sample in samples if not sample.arm_s]
    if lost and len(lost) < len(samples) and lost[0].status == "skipped":
        yield one_note(f"{len(lost)} of {len(samples)} passes skipped it: {lost[0].error}")


def one_note(text: str) -> str:
    """A text as a single note, which stands beside others."""
    return text.replace(BETWEEN, ", ")
