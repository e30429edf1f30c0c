"""How a pass shares its time among its comparisons."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.records.comparison import Comparison
from bench.records.task import PassJob, Task
from bench.suite.work import flops, parameters

# What a comparison costs before it measures, whatever its size: building, checking, compiling.
_BUILD_S = 0.2
_BUILD_S_PER_PARAMETER = 4e-8
_COMPILE_S = {"compile_blocks": 12.0, "compile": 18.0}
# How the rest of the time is shared: the work of a pair beside what each pair costs anyway.
_PAIR_S = 0.3
_FLOPS_PER_S = 50e9
# Of its share a comparison plans to use this much: small overruns must not starve the last one.
_PLANNED_SHARE = 0.9


class BudgetSpentError(RuntimeError):
    """The pass has no time left for this comparison."""


@dataclass(frozen=True)
class TimeEstimate:
    """A rough guess of one comparison's needs: seconds to get ready, and a weight of its work."""

    ready_s: float
    work: float

    @classmethod
    def of(cls, comparison: Comparison) -> "TimeEstimate":
        """Guess from names and sizes; nothing is known of a user's own arms."""
        if comparison.baseline.factory is not None:
            return cls(_BUILD_S, _PAIR_S)
        build_s = _BUILD_S + _BUILD_S_PER_PARAMETER * parameters(comparison.workload)
        ready_s = build_s + _COMPILE_S.get(comparison.arm.compile, 0.0)
        return cls(ready_s, _PAIR_S + flops(comparison.workload) / _FLOPS_PER_S)

    @classmethod
    def of_job(cls, job: PassJob) -> "TimeEstimate":
        """Need of a comparison in a pass, which may have been measured before."""
        need = cls.of(job.comparison)
        ready_s = need.ready_s if job.ready_s is None else job.ready_s
        return cls(ready_s, need.work * job.weight)


@dataclass
class TimeBudget:
    """Shares the time that a pass has left among the comparisons that it has left.

    Each gets the time to get ready and a part of the rest in proportion to its work, so that
    large and small comparisons get similar numbers of pairs; what one leaves over goes to those
    after it. After the pass's deadline each gets the least, and after the run's end nothing. Both
    are in seconds since the epoch. ``fixed_s`` are the seconds to measure of comparisons that do
    not share the time.
    """

    deadline_s: float
    end_s: float
    needs: dict[str, TimeEstimate]
    fixed_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task[PassJob]) -> "TimeBudget":
        """Share the time of a pass among its jobs."""
        needs = {job.key: TimeEstimate.of_job(job) for job in task.jobs}
        fixed_s = {job.key: job.measure_s for job in task.jobs if job.measure_s is not None}
        return cls(task.deadline_s, task.end_s, needs, fixed_s)

    def measuring(self, key: str) -> Callable[[float], float]:
        """For a comparison that starts now: seconds to measure, from those it took to get ready.

        Raises BudgetSpentError.
        """
        if key in self.fixed_s:
            return lambda _: self.fixed_s[key]
        # What it does not need to get ready goes to those after it; what it needs more is its own.
        ready_s, share_s = self.needs[key].ready_s, self.take(key)
        return lambda prepare_s: share_s - max(prepare_s, ready_s)

    def take(self, key: str) -> float:
        """Seconds for one comparison, which then no longer counts. Raises BudgetSpentError."""
        now_s, all_needs = time.time(), self.needs.values()
        if now_s >= self.end_s:
            raise BudgetSpentError("budget spent before its turn; give a larger --budget")
        to_share_s = max(0.0, self.deadline_s - now_s - sum(need.ready_s for need in all_needs))
        total = sum(need.work for need in all_needs)
        need = self.needs.pop(key)
        return need.ready_s + _PLANNED_SHARE * to_share_s * need.work / total
