"""Inside a pass: build a comparison's arms, check them, warm up, measure pairs, keep the sample."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bench.arms.candidates import Candidate, UnavailableError
from bench.arms.duels import build_pair, check
from bench.arms.precision import pinned_precision
from bench.cases import flops, parameters
from bench.measure.caches import flusher
from bench.measure.clocks import Clock
from bench.measure.memory import fresh_memory, is_out_of_memory, peak_bytes
from bench.measure.pairs import (
    MAX_ROUNDS,
    Benchmark,
    Call,
    InterruptedPairsError,
    PairedRounds,
    Watch,
    rounds_for,
    settle,
    timed,
    without_collector,
)
from bench.record import Comparison, InputError, Sample, one_line
from bench.store import PassPlan

# Settling may use this much of a comparison's share of the time.
_SETTLE_SHARE = 0.25
# What a comparison costs before it measures, whatever its size: building, checking, compiling.
_BUILD_S = 0.2
_BUILD_S_PER_PARAMETER = 4e-8
_COMPILE_S = {"compile_blocks": 12.0, "compile": 18.0}
# How the rest of the time is shared: the work of a pair beside what each pair costs anyway.
_PAIR_S = 0.3
_FLOPS_PER_S = 50e9
_QUEUED_CALLS = 20
# Of its share a comparison plans to use this much: small overruns must not starve the last one.
_PLANNED_SHARE = 0.9


class BudgetSpentError(RuntimeError):
    """The pass has no time left for this comparison."""


@dataclass(frozen=True)
class Need:
    """A rough guess of one comparison's needs: seconds to get ready, and a weight of its work."""

    ready_s: float
    work: float

    @classmethod
    def of(cls, comparison: Comparison) -> "Need":
        """Guess from names and sizes; nothing is known of a user's own arms."""
        if comparison.baseline.factory is not None:
            return cls(_BUILD_S, _PAIR_S)
        build_s = _BUILD_S + _BUILD_S_PER_PARAMETER * parameters(comparison.workload)
        ready_s = build_s + _COMPILE_S.get(comparison.arm.compile, 0.0)
        return cls(ready_s, _PAIR_S + flops(comparison.workload) / _FLOPS_PER_S)

    def weighted(self, weight: float) -> "Need":
        """The same need with more or less work."""
        return replace(self, work=self.work * weight)


@dataclass
class Allotment:
    """Shares the time that a pass has left among the comparisons that it has left.

    Each gets the time to get ready and a part of the rest in proportion to its work, so that
    large and small comparisons get similar numbers of pairs; what one leaves over goes to those
    after it. After the pass's deadline each gets the least, and after the run's end nothing. Both
    are in seconds since the epoch. With ``each_s`` every comparison gets so many seconds, times
    its weight, to measure, however long it takes to get ready.
    """

    deadline_s: float
    end_s: float
    needs: dict[str, Need]
    each_s: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: PassPlan) -> "Allotment":
        """The time of a pass, shared as its plan says."""
        needs = {
            each.key: Need.of(each).weighted(plan.weights.get(each.key, 1.0))
            for each in plan.comparisons
        }
        return cls(plan.deadline_s, plan.end_s, needs, plan.each_s, plan.weights)

    def measuring(self, key: str) -> Callable[[float], float]:
        """For a comparison that starts now: seconds to measure, from those it took to get ready.

        Raises BudgetSpentError.
        """
        if self.each_s is not None:
            each_s = self.each_s * self.weights.get(key, 1.0)
            return lambda _: each_s
        share_s = self.take(key)
        return lambda prepare_s: share_s - prepare_s

    def take(self, key: str) -> float:
        """Seconds for one comparison, which then no longer counts. Raises BudgetSpentError."""
        now_s, all_needs = time.time(), self.needs.values()
        if now_s >= self.end_s:
            raise BudgetSpentError("budget spent before its turn; give a larger --budget")
        to_share_s = max(0.0, self.deadline_s - now_s - sum(need.ready_s for need in all_needs))
        total = sum(need.work for need in all_needs)
        need = self.needs.pop(key)
        return need.ready_s + _PLANNED_SHARE * to_share_s * need.work / total


@dataclass(frozen=True, kw_only=True)
class Job:
    """One comparison to measure: with what, for how long, and whether to check it.

    ``build`` makes the two arms; ``measuring_s`` gives the seconds to settle and to measure, from
    those that building, checking and the first calls took. ``stop`` says that the pair under way
    is to be the last.
    """

    comparison: Comparison
    benchmark: Benchmark
    clock: Clock
    watch: Watch
    measuring_s: Callable[[float], float]
    check: bool
    most_rounds: int = MAX_ROUNDS
    stop: Callable[[], bool] = lambda: False
    build: Callable[[Comparison], tuple[Candidate, Candidate]] = build_pair

    @property
    def device(self) -> str:
        """Where the arms run."""
        return self.comparison.workload.device


def measure(job: Job) -> Sample:
    """Measure one comparison. What fails becomes the sample's status."""
    sample = Sample(key=job.comparison.key, pass_index=0)
    fresh_memory(job.device)
    try:
        with pinned_precision():
            return _measure(job, sample)
    except (UnavailableError, InputError) as error:
        return replace(sample, status="skipped", error=str(error))
    except Exception as error:  # noqa: BLE001 (whatever an arm raises is its result)
        status = "oom" if is_out_of_memory(error) else "crashed"
        return replace(sample, status=status, error=one_line(error))


def _measure(job: Job, sample: Sample) -> Sample:
    start_s = time.perf_counter()
    arms = job.build(job.comparison)
    if job.check:
        sample = _checked(sample, job.comparison, *arms)
        if sample.status != "ok":
            return sample
    calls = (arms[0].once, arms[1].once)
    with arms[0].surroundings():
        firsts_s = [timed(call, job.clock) for call in calls]
        prepare_s = time.perf_counter() - start_s
        sample = _paired(job, sample, calls, firsts_s, job.measuring_s(prepare_s))
        queued_s = _queued_s(calls[1], job.clock) if job.device == "cuda" else None
    return replace(
        sample,
        arm_queued_s=queued_s,
        peak_memory_bytes=peak_bytes(job.device),
        prepare_s=prepare_s,
        measure_s=time.perf_counter() - start_s - prepare_s,
    )


def _checked(sample: Sample, comparison: Comparison, baseline: Candidate, arm: Candidate) -> Sample:
    """The sample with the arm's numeric error; ``wrong`` beyond its precision's tolerance."""
    found = check(comparison, baseline, arm)
    return replace(
        sample,
        status="wrong" if found.error else "ok",
        error=found.error,
        output_error=found.output_error,
        gradient_error=found.gradient_error,
        note=found.note,
    )


def _paired(
    job: Job,
    sample: Sample,
    calls: tuple[Call, Call],
    firsts_s: list[float],
    left_s: float,
) -> Sample:
    """The sample with as many alternating pairs as fit in ``left_s`` after settling."""
    flush = flusher(job.device) if job.comparison.cache == "cold" else _nothing
    start_s, limit_s = time.perf_counter(), left_s * _SETTLE_SHARE / 2
    pairs = PairedRounds(
        baseline=calls[0], clock=job.clock, refresh=flush, watch=job.watch, stop=job.stop
    )
    with without_collector():
        settled = [settle(c, job.clock, s, limit_s) for c, s in zip(calls, firsts_s, strict=True)]
        pair_s = sum(call_s for call_s, _ in settled) + timed(flush, job.clock)
        rounds = rounds_for(left_s - (time.perf_counter() - start_s), pair_s, job.most_rounds)
        with suppress(InterruptedPairsError):
            job.benchmark.pedantic(
                calls[1], setup=pairs.setup, teardown=pairs.teardown, rounds=rounds
            )
    names = zip(("baseline", "arm"), settled, strict=True)
    sample = replace(sample, unsettled=tuple(name for name, (_, ended) in names if not ended))
    return _with_pairs(sample, job, pairs)


def _with_pairs(sample: Sample, job: Job, pairs: PairedRounds) -> Sample:
    """The sample with the times of its pairs; each arm went first equally often."""
    # With --benchmark-disable the arm is only called, once.
    timed_s = job.benchmark.stats.stats.data if job.benchmark.stats else ()
    whole = len(timed_s) // 2 * 2
    return replace(
        sample,
        baseline_s=_to_ns(pairs.baseline_s[:whole]),
        arm_s=_to_ns(timed_s[:whole]),
        baseline_wall_s=_to_ns(pairs.baseline_wall_s[:whole]),
        arm_wall_s=_to_ns(pairs.arm_wall_s[:whole]),
        disturbed=tuple(index for index in job.watch.disturbed if index < whole),
        causes=job.watch.causes,
        resolution_s=job.clock.resolution_s,
    )


def _to_ns(times_s: Sequence[float]) -> tuple[float, ...]:
    """Seconds to the nanosecond, which is what clocks tell; more digits only fill the journal."""
    return tuple(round(float(time_s), 9) for time_s in times_s)


def _queued_s(call: Call, clock: Clock) -> float:
    """Seconds a call takes when the device's queue never runs empty, caches as they come."""
    start = clock()
    for _ in range(_QUEUED_CALLS):
        call()
    end = clock()
    return float(end - start) / _QUEUED_CALLS


def _nothing() -> None:
    """Leave the caches as they are."""
