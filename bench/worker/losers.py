"""Precisions that lose by far: a CPU without their instructions emulates them at any size."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from bench.records.comparison import Comparison
from bench.records.errors import FAR, FAR_SLOWER
from bench.records.sample import Sample
from bench.records.task import PassJob

_FACTOR = "precision"
ALONE = "every arm to compare it with was left out"


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
        """Return a job without such arms, if any are left, and the samples of those left out.

        A control alone is left out with them.
        """
        out = [each for each in job.candidates if self._where(each)]
        skipped = [_skipped(job, each, self._reason(each)) for each in out]
        kept = tuple(each for each in job.comparisons if each not in out)
        if out and all(each.is_control for each in kept):
            return None, [*skipped, *(_skipped(job, each, ALONE) for each in kept)]
        return replace(job, comparisons=kept), skipped

    def _reason(self, comparison: Comparison) -> str:
        where = self._where(comparison)
        return (
            f"{FAR_SLOWER}{comparison.baseline_name} on {where}: not measured on larger workloads"
        )

    def _where(self, comparison: Comparison) -> str | None:
        return self._lost.get(_arm(comparison)) if comparison.factor == _FACTOR else None


def _skipped(job: PassJob, comparison: Comparison, reason: str) -> Sample:
    return Sample(key=comparison.key, pass_index=job.pass_index, status="skipped", error=reason)


def _arm(comparison: Comparison) -> tuple[str, str, str]:
    work = comparison.workload
    return work.device, work.mode, comparison.arm_name


def _slowdown(sample: Sample) -> float:
    return median(a / b for a, b in zip(sample.arm_s, sample.baseline_s, strict=True))
