"""What every measurement of a group needs: instruments and limits, and the parts of a sample."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.arms.agreement import Agreement
from bench.arms.compiling import compiled_together, mark_complete, start_compiler, use_cache
from bench.arms.levels import pinned_precision
from bench.records.arm_costs import Case
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.sample import Sample
from bench.timing.clocks import Clock
from bench.timing.device import fresh_memory
from bench.timing.rounds import MAX_ROUNDS, Call, Watch, timed
from bench.timing.yardstick import YardstickTimes
from bench.usercode.failures import failure

# The names of the baseline and of its copy among the arms of a group.
BASELINE, COPY = "baseline", "copy"


@dataclass(frozen=True, kw_only=True)
class GroupSession:
    """Instruments, time and limits for the measurement of a group.

    ``measuring_s`` returns the seconds to settle and to measure, from the seconds of building,
    checking and first calls. ``stop`` returns True when the current round should be the last;
    ``is_alive`` is called after each arm made ready and after each round.
    ``failed`` receives an exception; the sample keeps its first line. ``compiled`` is the folder of
    the compilers' caches; without one, first calls are not recorded. ``yardstick`` is timed
    among the rounds. ``await_calm`` waits for a calm machine and returns the
    seconds that it waited. ``checked`` are the keys of comparisons checked before.
    """

    comparisons: tuple[Comparison, ...]
    clock: Clock
    watch: Watch
    measuring_s: Callable[[float], float]
    checked: tuple[str, ...] = ()
    most_rounds: int = MAX_ROUNDS
    seed: int = 0
    stop: Callable[[], bool] = lambda: False
    is_alive: Callable[[], None] = lambda: None
    failed: Callable[[BaseException], None] = lambda _: None
    compiled: Path | None = None
    yardstick: YardstickTimes | None = None
    await_calm: Callable[[], float] = lambda: 0.0

    @property
    def device(self) -> str:
        """Device of the arms."""
        return self.comparisons[0].workload.device

    def after_round(self) -> None:
        """Give a sign of life, and time the yardstick where that leaves warm caches alone."""
        self.is_alive()
        if self.yardstick is not None and self.comparisons[0].cache != "warm":
            self.yardstick.between_rounds()

    def yardstick_s(self) -> float | None:
        """Return the seconds of the yardstick; None without one."""
        return None if self.yardstick is None else self.yardstick.median_s()


def name_in_group(comparison: Comparison) -> str:
    """Return the name of a comparison's arm in its group: equal arms share one."""
    return COPY if comparison.is_control else str(comparison.arm)


def failed(session: GroupSession, sample: Sample, error: BaseException) -> Sample:
    """Return a sample with the status of an exception."""
    session.failed(error)
    status, message = failure(error)
    return replace(sample, status=status, error=message)


def measured(
    session: GroupSession,
    measure: Callable[[GroupSession, dict[str, Sample]], Iterator[Sample]],
) -> list[Sample]:
    """Measure a group from blank samples by key; an exception is the status of all of them."""
    fresh_memory(session.device)
    blank = {c.key: Sample(key=c.key, pass_index=0) for c in session.comparisons}
    try:
        with pinned_precision(), compiled_together():
            return list(measure(session, dict(blank)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        return [failed(session, sample, error) for sample in blank.values()]


def with_first_call(
    session: GroupSession, sample: Sample, levels: Arm, workload: Workload, call: Call
) -> Sample:
    """Add the time of the first call of an arm that compiles, before any other call."""
    if session.compiled is None or levels.compile == "eager":
        return sample
    start_s = start_compiler(session.compiled, session.device)
    key = Case(workload=workload, arm=levels).key
    state = use_cache(session.compiled, key)
    device_s = timed(call, session.clock)
    mark_complete(session.compiled, key)
    return replace(
        sample,
        first_call_s=session.clock.last_wall_s or device_s,
        first_call_cache=state,
        compiler_start_s=start_s,
    )


def with_agreement(sample: Sample, found: Agreement) -> Sample:
    """Add an arm's numeric error; status ``wrong`` beyond its precision's tolerance."""
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


def to_ns(count: int, times_s: Sequence[float]) -> tuple[float, ...]:
    """Return the first seconds, rounded to nanoseconds: more digits bloat the journal."""
    return tuple(round(float(time_s), 9) for time_s in times_s[:count])
