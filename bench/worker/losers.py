"""Precisions that lose by far: a CPU without their instructions emulates them at any size."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from bench.records.comparison import Comparison, Sample
from bench.records.task import PassJob
from bench.timing.turns import FAR

_FACTOR = "precision"


class Losers:
    """Notes arms that are slower by far than full precision, and leaves them out of later groups.

    The groups of a pass that compares precisions come in the order of their size, so that what a
    small one finds saves time on the large ones.
    """

    def __init__(self) -> None:
        # Name of the first workload on which an arm lost, by device, mode and arm.
        self._lost: dict[tuple[str, str, str], str] = {}

    def note(self, job: PassJob, samples: Iterable[Sample]) -> None:
        """Note the arms of a measured group that lost by far."""
        by_key = {each.key: each for each in job.comparisons if each.factor == _FACTOR}
        for sample in samples:
            comparison = by_key.get(sample.key)
            if comparison is not None and sample.arm_s and _slowdown(sample) > FAR:
                self._lost.setdefault(_arm(comparison), comparison.workload.name)

    def without(self, job: PassJob) -> tuple[PassJob | None, list[Sample]]:
        """Return a job without such arms, if any are left, and the samples of those left out."""
        out = [each for each in job.candidates if self._where(each)]
        kept = tuple(each for each in job.comparisons if each not in out)
        skipped = [
            Sample(
                key=each.key,
                pass_index=job.pass_index,
                status="skipped",
                error=f"more than {FAR:g} times slower than {each.baseline_name} on "
                f"{self._where(each)}: not measured on larger workloads",
            )
            for each in out
        ]
        is_left = not out or any(not each.is_control for each in kept)
        return (replace(job, comparisons=kept) if is_left else None), skipped

    def _where(self, comparison: Comparison) -> str | None:
        return self._lost.get(_arm(comparison)) if comparison.factor == _FACTOR else None


def _arm(comparison: Comparison) -> tuple[str, str, str]:
    work = comparison.workload
    return work.device, work.mode, comparison.arm_name


def _slowdown(sample: Sample) -> float:
    return median(a / b for a, b in zip(sample.arm_s, sample.baseline_s, strict=True))
