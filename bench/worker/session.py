"""Inside a pass: build a comparison's arms, check them, warm up, measure pairs, keep the sample."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.arms.candidate import Candidate
from bench.arms.compiling import mark_complete, start_compiler, use_cache
from bench.arms.levels import pinned_precision
from bench.arms.pairs import build_pair, check
from bench.records.arm_costs import Case
from bench.records.comparison import Comparison, Sample
from bench.timing.clocks import Clock
from bench.timing.device import flusher, fresh_memory, peak_bytes
from bench.timing.pairs import (
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
from bench.usercode.failures import failure

# Settling may use this much of a comparison's share of the time.
_SETTLE_SHARE = 0.25
_QUEUED_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One comparison to measure: with what, for how long, and whether to check it.

    ``build`` makes the two arms; ``measuring_s`` gives the seconds to settle and to measure, from
    those that building, checking and the first calls took. ``stop`` says that the pair under way
    is to be the last. ``failed`` is told what was raised, of which the sample has one line.
    ``compiled`` is the folder in which compilers keep what they made; without one, first calls are
    not told apart. ``yardstick`` gives the seconds of the yardstick, where it is to be measured.
    """

    comparison: Comparison
    benchmark: Benchmark
    clock: Clock
    watch: Watch
    measuring_s: Callable[[float], float]
    check: bool
    most_rounds: int = MAX_ROUNDS
    stop: Callable[[], bool] = lambda: False
    failed: Callable[[BaseException], None] = lambda _: None
    compiled: Path | None = None
    yardstick: Callable[[], float | None] = lambda: None
    build: Callable[[Comparison], tuple[Candidate, Candidate]] = build_pair

    @property
    def device(self) -> str:
        """Where the arms run."""
        return self.comparison.workload.device


def measure(job: Measurement) -> Sample:
    """Measure one comparison. What fails becomes the sample's status."""
    sample = Sample(key=job.comparison.key, pass_index=0)
    fresh_memory(job.device)
    try:
        with pinned_precision():
            return _measure(job, sample)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        job.failed(error)
        status, said = failure(error)
        return replace(sample, status=status, error=said)


def _measure(job: Measurement, sample: Sample) -> Sample:
    start_s = time.perf_counter()
    arms = job.build(job.comparison)
    sample = _compiled(job, sample, arms[1])
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
    sample = replace(
        sample,
        arm_queued_s=queued_s,
        peak_memory_bytes=peak_bytes(job.device),
        prepare_s=prepare_s,
        measure_s=time.perf_counter() - start_s - prepare_s,
    )
    return replace(sample, yardstick_s=job.yardstick())


def _compiled(job: Measurement, sample: Sample, arm: Candidate) -> Sample:
    """The sample with the first call of an arm that compiles, before anything else calls it."""
    levels = arm.arm
    if job.compiled is None or levels.compile == "eager":
        return sample
    start_s = start_compiler(job.compiled, job.device)
    key = Case(workload=job.comparison.workload, arm=levels).key
    state = use_cache(job.compiled, key)
    device_s = timed(arm.rehearse, job.clock)
    mark_complete(job.compiled, key)
    return replace(
        sample,
        first_call_s=job.clock.last_wall_s or device_s,
        first_call_cache=state,
        compiler_start_s=start_s,
    )


def _checked(sample: Sample, comparison: Comparison, baseline: Candidate, arm: Candidate) -> Sample:
    """The sample with the arm's numeric error; ``wrong`` beyond its precision's tolerance."""
    found = check(comparison, baseline, arm)
    return replace(
        sample,
        status="wrong" if found.error else "ok",
        error=found.error,
        remedy=found.remedy,
        output_error=found.output_error,
        gradient_error=found.gradient_error,
        largest_error=found.largest_error,
        note=found.note,
    )


def _paired(
    job: Measurement,
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


def _with_pairs(sample: Sample, job: Measurement, pairs: PairedRounds) -> Sample:
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
