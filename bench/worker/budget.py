"""Share the time of a pass among its comparisons."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.records.comparison import Comparison
from bench.records.errors import NO_TIME
from bench.records.task import PassJob, Task
from bench.suite.work import flops, parameters

# Seconds of building, checking and compiling, before a comparison is measured.
_BUILD_S = 0.2
_BUILD_S_PER_PARAMETER = 4e-8
_COMPILE_S = {"compile_blocks": 8.0, "compile": 18.0}
# Work of a pair, by which the rest of the time is shared: a constant and the time of its FLOPs.
_PAIR_S = 0.3
_FLOPS_PER_S = 50e9
# Power of a group's work by which it shares the time.
_SHARE_POWER = 0.75
# Part of its share that a comparison plans to use: small overruns must not starve the last one.
_PLANNED_SHARE = 0.9


class BudgetSpentError(RuntimeError):
    """The pass has no time left for this comparison."""


@dataclass(frozen=True)
class TimeEstimate:
    """Rough estimate for one comparison: seconds to get ready, and the work of a pair."""

    ready_s: float
    work: float

    @classmethod
    def of(cls, comparison: Comparison) -> "TimeEstimate":
        """Estimate from names and sizes; a user's own arms get constants."""
        if comparison.baseline.factory is not None:
            return cls(_BUILD_S, _PAIR_S)
        build_s = _BUILD_S + _BUILD_S_PER_PARAMETER * parameters(comparison.workload)
        ready_s = build_s + _COMPILE_S.get(comparison.arm.compile, 0.0)
        return cls(ready_s, _PAIR_S + flops(comparison.workload) / _FLOPS_PER_S)

    @classmethod
    def of_job(cls, job: PassJob) -> "TimeEstimate":
        """Estimate for a group, from earlier passes if there are any.

        The work grows slower than its size: cheap groups get more rounds than expensive ones. Its
        root would make the mean variance least, its size the largest variance: between them.
        """
        each = [cls.of(comparison) for comparison in job.comparisons]
        ready_s = sum(e.ready_s for e in each) if job.ready_s is None else job.ready_s
        return cls(ready_s, sum(e.work for e in each) ** _SHARE_POWER * job.weight)


@dataclass
class TimeBudget:
    """The remaining time of a pass, shared among its remaining comparisons.

    Each gets the time to get ready and a part of the rest in proportion to its work, so that large
    and small comparisons get similar numbers of pairs. What getting ready takes more, as the first
    group of a process does, or less than estimated is shared by it and all later ones, as is unused
    time. After the pass's deadline each gets the minimum, after the run's end none. Both are in
    seconds since the epoch. ``fixed_s`` holds the measuring seconds of comparisons that do not
    share the time.
    """

    deadline_s: float
    end_s: float
    estimates: dict[str, TimeEstimate]
    fixed_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task[PassJob]) -> "TimeBudget":
        """Share the time of a pass among its jobs."""
        estimates = {job.key: TimeEstimate.of_job(job) for job in task.jobs}
        fixed_s = {job.key: job.measure_s for job in task.jobs if job.measure_s is not None}
        return cls(task.deadline_s, task.end_s, estimates, fixed_s)

    def measuring(self, key: str) -> Callable[[float], float]:
        """Return a function that returns the seconds to measure a comparison, once it is ready.

        The comparison starts now. Raises BudgetSpentError.
        """
        if key in self.fixed_s:
            return lambda _: self.fixed_s[key]
        if time.time() >= self.end_s:
            raise BudgetSpentError(NO_TIME)
        estimate = self.estimates.pop(key)
        return lambda _: self._share_s(estimate)

    def leave_out(self, key: str) -> None:
        """Give the time of a comparison that is not measured to the others."""
        self.estimates.pop(key, None)

    def _share_s(self, own: TimeEstimate) -> float:
        """Return the seconds of a comparison that is ready, of what is left beside the others."""
        left = self.estimates.values()
        ready_s = sum(estimate.ready_s for estimate in left)
        to_share_s = max(0.0, self.deadline_s - time.time() - ready_s)
        total = own.work + sum(estimate.work for estimate in left)
        return _PLANNED_SHARE * to_share_s * own.work / total
