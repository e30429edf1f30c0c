"""Measure one comparison: build its arms, check them, warm up, time pairs, return the sample."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from bench.arms.build_and_check import build_arms, check
from bench.arms.candidate import Candidate
from bench.arms.levels import pinned_precision
from bench.records.comparison import Comparison
from bench.records.sample import Sample
from bench.timing.clocks import Clock
from bench.timing.device import flusher, fresh_memory, peak_bytes
from bench.timing.rounds import (
    MAX_ROUNDS,
    Benchmark,
    Call,
    InterruptedPairsError,
    PairedRounds,
    Watch,
    queued,
    rounds_for,
    settle,
    timed,
    without_collector,
)
from bench.usercode.failures import failure
from bench.worker.group_session import to_ns, with_agreement

# Maximum part of a comparison's time for settling.
_SETTLE_SHARE = 0.25
_QUEUED_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class Session:
    """The measurement of one comparison: instruments, time, and whether to check the arm.

    ``build`` builds the two arms; ``measuring_s`` returns the seconds to settle and to measure,
    from the seconds of building, checking and first calls. ``stop`` returns True when the current
    pair should be the last. ``failed`` receives the exception; the sample keeps its first line.
    ``await_calm`` waits for a calm machine and returns the seconds that it waited.
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
    await_calm: Callable[[], float] = lambda: 0.0
    build: Callable[[Comparison], tuple[Candidate, Candidate]] = build_arms

    @property
    def device(self) -> str:
        """Device of the arms."""
        return self.comparison.workload.device


def measure(session: Session) -> Sample:
    """Measure one comparison; an exception becomes the sample's status."""
    sample = Sample(key=session.comparison.key, pass_index=0)
    fresh_memory(session.device)
    try:
        with pinned_precision():
            return _measure(session, sample)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        session.failed(error)
        status, message = failure(error)
        return replace(sample, status=status, error=message)


def _measure(session: Session, sample: Sample) -> Sample:
    start_s = time.perf_counter()
    arms = session.build(session.comparison)
    if session.check:
        sample = with_agreement(sample, check(session.comparison, *arms))
        if sample.status != "ok":
            return sample
    calls = (arms[0].once, arms[1].once)
    with arms[0].surroundings():
        firsts_s = [timed(call, session.clock) for call in calls]
        prepare_s = time.perf_counter() - start_s
        waited_s = session.await_calm()
        start_s = time.perf_counter()
        sample = _paired(session, sample, calls, firsts_s, session.measuring_s(prepare_s))
        is_queued = session.device == "cuda"
        queued_s = queued(calls[1], session.clock, _QUEUED_CALLS) if is_queued else None
    return replace(
        sample,
        arm_queued_s=queued_s,
        peak_memory_bytes=peak_bytes(session.device),
        calm_wait_s=waited_s,
        prepare_s=prepare_s,
        measure_s=time.perf_counter() - start_s,
    )


def _paired(
    session: Session,
    sample: Sample,
    calls: tuple[Call, Call],
    firsts_s: list[float],
    left_s: float,
) -> Sample:
    """Add the alternating pairs that fit in ``left_s`` after settling."""
    flush = flusher(session.device) if session.comparison.cache == "cold" else _nothing
    start_s, limit_s = time.perf_counter(), left_s * _SETTLE_SHARE / 2
    pairs = PairedRounds(
        baseline=calls[0],
        clock=session.clock,
        refresh=flush,
        watch=session.watch,
        stop=session.stop,
    )
    with without_collector():
        settled = [
            settle(c, session.clock, s, limit_s) for c, s in zip(calls, firsts_s, strict=True)
        ]
        pair_s = sum(call_s for call_s, _ in settled) + timed(flush, session.clock)
        rounds = rounds_for(left_s - (time.perf_counter() - start_s), pair_s, session.most_rounds)
        with suppress(InterruptedPairsError):
            session.benchmark.pedantic(
                calls[1], setup=pairs.setup, teardown=pairs.teardown, rounds=rounds
            )
    names = zip(("baseline", "arm"), settled, strict=True)
    sample = replace(sample, unsettled=tuple(name for name, (_, ended) in names if not ended))
    return _with_pairs(sample, session, pairs)


def _with_pairs(sample: Sample, session: Session, pairs: PairedRounds) -> Sample:
    """Add the times of an even number of pairs, so that each arm went first equally often."""
    # With --benchmark-disable the arm is called once, without statistics.
    timed_s = session.benchmark.stats.stats.data if session.benchmark.stats else ()
    whole = len(timed_s) // 2 * 2
    return replace(
        sample,
        baseline_s=to_ns(whole, pairs.baseline_s),
        arm_s=to_ns(whole, timed_s),
        baseline_wall_s=to_ns(whole, pairs.baseline_wall_s),
        arm_wall_s=to_ns(whole, pairs.arm_wall_s),
        disturbed=tuple(index for index in session.watch.disturbed if index < whole),
        uneven=tuple(index for index in session.watch.uneven if index < whole),
        causes=session.watch.causes,
        resolution_s=session.clock.resolution_s,
    )


def _nothing() -> None:
    """Leave the caches as they are."""
